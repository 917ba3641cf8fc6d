"""Lines: each thing is said once, when it is new."""

from __future__ import annotations

import dataclasses

from demo.lines import HEARTBEAT_MS, Lines
from demo.run import Phase, caption, phases
from demo.story import Fault, Story
from demo.view import Board
from tests.demo.test_view import NOW, STATUS, TOLD

DONE = [("shop answers 5xx", "now")]


def test_what_is_new_is_said_once() -> None:
    board, lines = Board(workers=("worker-1",)), Lines()
    first = list(lines.new(board, NOW, DONE))
    assert first == [
        "08:00:00 now: shop answers 5xx",
        "08:00:00   no input yet   ·   nothing judged yet   ·   1 workers",
    ]
    board.apply(STATUS)
    board.apply(TOLD)
    assert list(lines.new(board, NOW + 1_000, DONE)) == [
        "08:00:01 web-availability of shop is burning, 25.0% of its budget left",
        "07:59:58 pagerduty was told (trigger, after 1.2 s): shop burns its budget",
    ]
    assert not list(lines.new(board, NOW + 2_000, DONE))
    board.apply(dataclasses.replace(STATUS, state="healthy", budget_left=0.2))
    assert list(lines.new(board, NOW + 3_000, [("shop answers 5xx", "over")])) == [
        "08:00:03 over: shop answers 5xx",
        "08:00:03 web-availability of shop is healthy, 20.0% of its budget left",
    ]


def test_how_it_goes_is_said_every_ten_seconds() -> None:
    board, lines = Board(), Lines()
    said = [list(lines.new(board, NOW + ms, [])) for ms in (0, 1, HEARTBEAT_MS - 1, HEARTBEAT_MS, HEARTBEAT_MS + 1)]
    assert [len(one) for one in said] == [1, 0, 0, 1, 0]


def test_a_fault_is_to_come_then_now_then_over_and_one_that_is_delivered_later_happens_then() -> None:
    story = Story(
        1, (Fault("errors", "shop", 1_000, 3_000, title="5xx"), Fault("delayed", "car", 0, 900, 1.0, 2_000, "late"))
    )
    assert phases(story, 500) == [Phase("5xx", "to come", 0.5), Phase("late", "to come", 1.5)]
    assert phases(story, 2_000) == [Phase("5xx", "now", 1.0), Phase("late", "over", 0.0)]
    assert [phase.word for phase in phases(story, 3_000)] == ["over", "over"]
    assert [caption(Phase("5xx", word, 7.0)) for word in ("to come", "now", "over")] == [
        "in   7 s   5xx", "now        5xx, for 7 s already", "  7 s ago  5xx: over",
    ]  # fmt: skip
