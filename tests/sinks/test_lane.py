"""A lane under a storm: the cost of a step, and who goes first."""

from __future__ import annotations

import time

from sinks.lane import Entry, Lane, Policy
from tests.sinks.build import notification


def filled(count: int, policy: Policy | None = None) -> Lane:
    lane = Lane("pager", policy or Policy())
    for number in range(count):
        severity = "page" if number % 100 == 99 else "ticket"
        lane.add(Entry(notification(f"n{number}", f"i{number}", severity=severity), number, 0, 0))
    return lane


def test_a_shared_policy_divides_the_limit() -> None:
    assert Policy(per_minute=120).shared(4).per_minute == 30
    assert Policy(per_minute=2).shared(4).per_minute == 1
    assert Policy().shared(4).per_minute == 0


def test_all_pages_of_a_storm_go_first() -> None:
    lane = filled(1_000, Policy(in_flight=20))
    first = lane.begin(0)
    assert [entry.record.severity for entry in first] == ["page"] * 10 + ["ticket"] * 10


def test_a_step_costs_little_however_much_waits() -> None:
    def cost(count: int) -> float:
        lane = filled(count)
        lane.begin(0)
        began = time.process_time()
        for _ in range(500):
            lane.remove(next(iter(lane)))
            lane.begin(0)
        return time.process_time() - began

    few = min(cost(1_000) for _ in range(3))
    assert min(cost(8_000) for _ in range(3)) < 3 * few + 0.01


def test_the_least_is_an_update_then_a_ticket_and_never_what_is_under_way() -> None:
    lane = Lane("pager", Policy(in_flight=1))
    for number, (action, severity) in enumerate([("trigger", "page"), ("resolve", "ticket"), ("trigger", "ticket")]):
        lane.add(Entry(notification(f"n{number}", f"i{number}", action, severity=severity), number, 0, 0))
    order = []
    while (least := lane.least()) is not None:
        order.append(least.record.notification_id)
        lane.remove(least)
    assert order == ["n2", "n0", "n1"]
    lane.add(Entry(notification(), 9, 0, 0))
    lane.begin(0)
    assert lane.least() is None
