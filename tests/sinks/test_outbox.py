"""The outbox on time lines, and as a state machine against a receiver that misbehaves."""

from __future__ import annotations

import pytest
from hypothesis import settings

from schemas.records import NotificationRecord
from sinks import limits
from sinks.lane import Policy
from sinks.outbox import Attempt, Known, Outbox
from sinks.port import FIRST, Before, Category, Delivered, Rejected, Retry
from tests.sinks.build import notification
from tests.sinks.misbehaving import DOWN, LATER, NEVER, OK, T0, Misbehaving


def outbox(fallback: str = "", **options: int) -> Outbox:
    return Outbox({"pager": Policy(fallback=fallback, **options), "team": Policy()})  # type: ignore[arg-type]


def ids(attempts: list[Attempt]) -> list[str]:
    return [attempt.notification.notification_id for attempt in attempts]


def statuses(records: list[NotificationRecord]) -> list[tuple[str, str]]:
    return [(record.notification_id, record.status) for record in records]


def failing_for(box: Outbox, seconds: int, start: int = T0) -> int:
    """Every attempt fails, each 100 ms; the time after that."""
    for now in range(start, start + seconds * 1000, 100):
        for attempt in box.begin(now):
            box.settle(attempt, DOWN, now)
    return start + seconds * 1000


def test_it_sends_what_was_offered_and_tells_what_became_of_it() -> None:
    box = outbox()
    box.offer([notification()], T0)
    (attempt,) = box.begin(T0)
    assert (attempt.number, attempt.timeout_ms, box.begin(T0)) == (1, 10_000, [])
    box.settle(attempt, OK, T0 + 80)
    assert len(box) == 0
    first, last = box.drain()
    assert (first.status, first.attempts) == ("pending", 0)
    assert (last.status, last.attempts, last.delivered_ms, last.response) == ("delivered", 1, T0 + 80, "202")
    assert box.drain() == []
    assert box.next_ms(T0 + 80) is None


def test_a_repeat_is_not_sent_again() -> None:
    box = outbox()
    box.offer([notification(), notification()], T0)
    box.settle(box.begin(T0)[0], OK, T0)
    box.offer([notification()], T0 + 1)
    assert box.begin(T0 + 1) == []
    assert box.counters["repeated"] == 2


def test_within_an_incident_order_is_kept_and_others_do_not_wait() -> None:
    box = outbox()
    box.offer([notification("a1", "a"), notification("a2", "a", "resolve"), notification("b1", "b")], T0)
    first = box.begin(T0)
    assert ids(first) == ["a1", "b1"]
    box.settle(first[0], DOWN, T0)
    assert box.begin(T0 + 499) == []  # a2 waits for a1, which waits
    again = box.begin(T0 + 1_000)
    assert ids(again) == ["a1"]
    box.settle(again[0], OK, T0 + 1_000)
    assert ids(box.begin(T0 + 1_000)) == ["a2"]


def test_pages_go_before_tickets() -> None:
    box = outbox(in_flight=1)
    box.offer([notification(f"t{n}", f"t{n}", severity="ticket") for n in range(3)] + [notification("page", "p")], T0)
    assert ids(box.begin(T0)) == ["page"]


def test_a_limit_pauses_the_channel_and_no_other() -> None:
    box = outbox()
    box.offer([notification("a", "a")], T0)
    box.settle(box.begin(T0)[0], LATER, T0)
    box.offer([notification("b", "b"), notification("c", "c", channel="team")], T0 + 1)
    (other,) = box.begin(T0 + 1)
    box.settle(other, OK, T0 + 2)
    assert other.notification.notification_id == "c"
    assert box.begin(T0 + 19_999) == []
    assert ids(box.begin(T0 + 22_000)) == ["a", "b"]


def test_a_sliding_limit_is_kept_and_pages_have_a_part_of_it() -> None:
    box = outbox(per_minute=120, in_flight=64)
    box.offer([notification(f"t{n}", f"t{n}", severity="ticket") for n in range(500)], T0)
    sent: list[int] = []
    for now in range(T0, T0 + 10_000, 50):
        for attempt in box.begin(now):
            sent.append(now)
            box.settle(attempt, OK, now)
    assert len(sent) == 90
    box.offer([notification("page", "p")], T0 + 10_000)
    assert ids(box.begin(T0 + 10_000)) == ["page"]


def test_the_breaker_asks_once_and_then_waits_longer() -> None:
    box = outbox(breaker_failures=3, in_flight=8)
    box.offer([notification(f"n{n}", f"i{n}") for n in range(8)], T0)
    for attempt in box.begin(T0):
        box.settle(attempt, DOWN, T0)
    assert box.counters["breaker_opened"] == 1
    assert box.begin(T0 + 9_999) == []
    probe = box.begin(T0 + 10_000)
    assert len(probe) == 1
    box.settle(probe[0], DOWN, T0 + 10_000)
    assert box.begin(T0 + 29_999) == []
    probe = box.begin(T0 + 30_000)
    box.settle(probe[0], NEVER, T0 + 30_000)  # a refusal is an answer: the service works
    assert len(box.begin(T0 + 30_000)) == 7


def test_a_probe_that_could_not_be_sent_leaves_the_way_free() -> None:
    box = outbox(breaker_failures=1)
    box.offer([notification("a", "a"), notification("b", "b")], T0)
    first, second = box.begin(T0)
    box.settle(first, DOWN, T0)
    box.settle(second, DOWN, T0)
    probe = box.begin(T0 + 10_000)
    box.settle(probe[0], Rejected(Category.UNSENDABLE, "too large"), T0 + 10_000)
    assert len(box.begin(T0 + 10_000)) == 1


def test_a_refusal_is_final_and_goes_to_the_fallback_at_once() -> None:
    box = outbox(fallback="team")
    box.offer([notification()], T0)
    box.settle(box.begin(T0)[0], NEVER, T0)
    (attempt,) = box.begin(T0)
    assert attempt.notification.channel == "team"
    assert attempt.notification.details["fallback_for"] == "pager"
    assert "HTTP 400" in attempt.notification.details["fallback_because"]
    assert ("n1", "failed") in statuses(box.drain())


def test_the_fallback_hears_in_time_and_the_channel_is_tried_on() -> None:
    box = outbox(fallback="team")
    box.offer([notification()], T0)
    heard = None
    for now in range(T0, T0 + 120_000, 100):
        for attempt in box.begin(now):
            if attempt.notification.channel == "team":
                heard = heard or now
                box.settle(attempt, OK, now)
            else:
                box.settle(attempt, OK if now > T0 + 90_000 else DOWN, now)
    assert heard is not None
    assert 30_000 <= heard - T0 <= 30_300
    assert len(box) == 0
    assert box.counters["fell_back"] == 1
    assert box.counters["delivered"] == 2


def test_what_follows_in_the_incident_goes_to_the_fallback_too() -> None:
    box = outbox(fallback="team")
    box.offer([notification("n1"), notification("n2", action="acknowledge")], T0)
    box.settle(box.begin(T0)[0], NEVER, T0)
    box.offer([notification("n3", action="resolve")], T0 + 5)
    seen = []
    for now in range(T0, T0 + 1_000, 10):
        for attempt in box.begin(now):
            seen.append((attempt.notification.channel, attempt.notification.action))
            box.settle(attempt, OK, now)
    assert [action for channel, action in seen if channel == "team"] == ["trigger", "acknowledge", "resolve"]
    assert [action for channel, action in seen if channel == "pager"] == ["acknowledge", "resolve"]


def test_a_fallback_that_was_told_by_itself_is_not_told_twice() -> None:
    box = outbox(fallback="team")
    box.offer([notification("n1"), notification("m1", channel="team")], T0)
    for attempt in box.begin(T0):
        box.settle(attempt, OK if attempt.notification.channel == "team" else NEVER, T0)
    assert box.begin(T0 + 1) == []
    assert box.counters["fallback_told_already"] == 1


def test_fallbacks_in_a_circle_end() -> None:
    box = Outbox({"a": Policy(fallback="b"), "b": Policy(fallback="a")})
    box.offer([notification(channel="a")], T0)
    for now in (T0, T0 + 1, T0 + 2):
        for attempt in box.begin(now):
            box.settle(attempt, NEVER, now)
    assert len(box) == 0
    assert box.counters["rejected"] == 2


def test_updates_that_nobody_was_sent_are_superseded() -> None:
    box = outbox()
    box.offer([notification("n1")], T0)
    (trigger,) = box.begin(T0)
    box.offer([notification("u1", action="update"), notification("u2", action="update")], T0)
    box.offer([notification("r", action="resolve")], T0)
    box.settle(trigger, OK, T0)
    assert ids(box.begin(T0)) == ["r"]
    assert box.counters["superseded"] == 2


def test_a_full_queue_gives_up_the_least_and_says_so() -> None:
    box = outbox(pending_max=2)
    offered = [
        notification("page", "p"),
        notification("end", "q", "resolve"),
        notification("ticket", "t", severity="ticket"),
        notification("update", "p", "update"),
    ]
    box.offer(offered, T0)
    assert {name for name, status in statuses(box.drain()) if status == "abandoned"} == {"ticket", "update"}
    assert box.counters["overflow"] == 2
    assert sorted(ids(box.begin(T0))) == ["end", "page"]


def test_age_ends_what_was_tried_and_does_not_arrive() -> None:
    box = outbox(give_up_after_ms=60_000)
    box.offer([notification()], T0)
    failing_for(box, 61)
    assert len(box) == 0
    last = box.drain()[-1]
    assert (last.status, box.counters["too_old"]) == ("abandoned", 1)
    assert "server_error" in last.last_error


def test_nothing_is_given_up_that_was_never_tried() -> None:
    box = outbox(give_up_after_ms=60_000)
    box.offer([notification()], T0)
    assert len(box.begin(T0 + 10**8)) == 1  # the machine slept


def test_an_attempt_that_nobody_settles_is_lost_and_repeated() -> None:
    box = outbox(timeout_ms=1_000)
    box.offer([notification()], T0)
    (lost,) = box.begin(T0)
    assert box.begin(T0 + 5_999) == []
    for now in range(T0 + 6_000, T0 + 9_000, 250):
        if again := box.begin(now):
            break
    assert again[0].number == 2
    box.settle(lost, DOWN, now)  # too late to matter
    assert box.counters["settled_late"] == 1
    box.settle(lost, OK, now)  # good news always matters
    assert len(box) == 0


def test_a_clock_that_is_set_back_delays_nothing() -> None:
    box = outbox()
    box.offer([notification()], T0)
    box.settle(box.begin(T0)[0], DOWN, T0)
    earlier = T0 - 7_200_000
    box.begin(earlier)
    assert ids(box.begin(earlier + 1_000)) == ["n1"]
    assert box.counters["clock_set_back"] == 1


def test_a_channel_that_is_not_configured_is_said_to_be_so() -> None:
    box = outbox()
    box.offer([notification(channel="nobody")], T0)
    (record,) = box.drain()
    assert record.status == "failed"
    assert "'nobody'" in record.last_error


def test_what_the_topic_says_was_delivered_is_not_sent() -> None:
    box = outbox()
    box.learn(notification("n1", status="delivered"))
    box.offer([notification("n1"), notification("n2", "other")], T0)
    box.learn(notification("n2", "other", status="delivered"))
    box.learn(notification("n3", status="pending"))
    assert box.begin(T0) == []


def test_memory_of_keys_is_bounded_and_counted() -> None:
    known = Known(2)
    for key in "abac":
        known.add(key)
    assert ("a" in known, "b" in known, "c" in known, known.forgotten) == (True, False, True, 1)


Misbehaving.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestMisbehaving = pytest.mark.timeout(100)(Misbehaving.TestCase)


def test_a_delivery_that_vanishes_is_unaccounted_for_and_one_that_falls_back_is_not() -> None:
    box = outbox(fallback="team", fallback_after_ms=2_000)
    box.offer([notification()], T0)
    now = failing_for(box, 3)
    assert (box.unaccounted, box.taken, box.counters["fell_back"]) == (0, 1, 1)
    box.offer([notification(), notification(name="another")], now)
    assert (box.unaccounted, box.taken) == (0, 3)
    lane = box.lanes["pager"]
    lane.remove(next(iter(lane)))  # nobody settled it
    assert box.unaccounted == 1


def test_what_a_destination_wants_to_be_reminded_of() -> None:
    box = Outbox({"pager": Policy()})
    box.offer([notification("n1"), notification("n2", action="acknowledge"), notification("n3", action="resolve")], T0)
    (first,) = box.begin(T0)
    assert first.before == FIRST
    box.settle(first, Retry(Category.DEFERRED, "later", memo="half"), T0)
    (again,) = box.begin(T0 + 60_000)
    assert again.before == Before(2, unsure=False, delivery="half")
    box.settle(again, Delivered("ok", "place", perhaps_twice=True), T0 + 60_000)
    (second,) = box.begin(T0 + 60_000)
    assert second.before == Before(1, incident="place")
    box.settle(second, Retry(Category.BROKEN, "hung up", sure=True), T0 + 60_000)
    (second,) = box.begin(T0 + 120_000)
    assert not second.before.unsure
    box.settle(second, Retry(Category.TIMEOUT, "late"), T0 + 120_000)
    (second,) = box.begin(T0 + 180_000)
    assert second.before.unsure
    box.settle(second, Delivered("ok", "elsewhere"), T0 + 180_000)
    (resolve,) = box.begin(T0 + 180_000)
    assert resolve.before.incident == "elsewhere"
    box.settle(resolve, Delivered("ok", "elsewhere"), T0 + 180_000)
    assert box.memos == {}
    assert box.counters["perhaps_twice"] == 1


def test_memos_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TOLD_MAX", 2)
    monkeypatch.setattr(limits, "MEMO_CHARS_MAX", 4)
    box = Outbox({"pager": Policy()})
    box.offer([notification(f"n{n}", f"i{n}") for n in range(3)], T0)
    for attempt in box.begin(T0):
        box.settle(attempt, Delivered("ok", "long memo"), T0)
    assert box.memos == {"pager\0i1": "long", "pager\0i2": "long"}
    assert box.counters["memos_forgotten"] == 1


def test_what_is_deferred_holds_up_nothing_else() -> None:
    box = Outbox({"pager": Policy(breaker_failures=1)})
    box.offer([notification("n1", "a")], T0)
    (first,) = box.begin(T0)
    box.settle(first, Retry(Category.DEFERRED, "greylisted"), T0)
    box.offer([notification("n2", "b")], T0)
    assert [attempt.notification.notification_id for attempt in box.begin(T0)] == ["n2"]
