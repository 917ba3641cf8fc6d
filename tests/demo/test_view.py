"""View: the board follows the topics, and the screen says what is on it."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from demo.view import Board, screen
from schemas.records import BurnReading, IncidentTransition, NotificationRecord, SloStatus

NOW = 1_800_000_000_000
READING = BurnReading("page", 120_000, 10_000, 14.4, 60, 100, 2, 10, 40.0, 80.0, 0.3, True)
STATUS = SloStatus(
    "web-availability", 0, {"service": "shop"}, "burning", "page", 900 << 20, 1_000 << 20, 0.25, (READING,), 1.0,
    NOW - 1_500, NOW - 1_500, "c0ffee",
)  # fmt: skip
INCIDENT = IncidentTransition(
    "i1", 1, "open", "page", "shop answers 5xx", ("a1",), ("t1",), {}, NOW - 3_000, NOW - 2_000, "", ""
)
TOLD = NotificationRecord(
    "n1", "i1", "pagerduty", "trigger", "i1", "critical", "shop burns its budget", "tocsin", NOW - 3_000, NOW - 2_000,
    {}, "delivered", 1, "", NOW - 1_800, "202",
)  # fmt: skip


def drawn(board: Board) -> str:
    out = io.StringIO()
    Console(file=out, width=140, color_system=None).print(screen(board, NOW, ["service shop answers 5xx"]))
    return out.getvalue()


def test_an_empty_board_says_so() -> None:
    text = drawn(Board())
    assert "no input yet" in text
    assert "nothing judged yet" in text
    assert "no worker" in text


def test_the_screen_shows_what_the_topics_said() -> None:
    board = Board(workers=("worker-1", "worker-2"))
    for record in (STATUS, INCIDENT, TOLD, "something else"):
        board.apply(record)
    board.count(NOW - 2_000, {"web": 1_000, "vehicle": 10})
    board.count(NOW, {"web": 1_400, "vehicle": 30})
    lines = drawn(board).splitlines()
    assert lines[0].split("·")[0].split() == ["08:00:00", "vehicle", "10/s", "web", "200/s"]
    assert "judged up to 1.5 s ago" in lines[0]
    assert "2 workers" in lines[0]
    (slo,) = [line for line in lines if "web-availability" in line]
    for expected in ("shop", "burning", "page", "25.0%", "40.0x", "80.0x", "900 / 1,000"):
        assert expected in slo
    (incident,) = [line for line in lines if "shop answers 5xx" in line and "open" in line]
    assert "07:59:58" in incident
    (told,) = [line for line in lines if "pagerduty" in line]
    assert "trigger" in told
    assert "1.2 s" in told


def test_an_older_transition_does_not_win() -> None:
    board = Board()
    board.apply(dataclasses.replace(INCIDENT, number=2, state="resolved"))
    board.apply(INCIDENT)
    assert board.incidents["i1"].state == "resolved"
    assert "resolved" in drawn(board)


def test_a_long_summary_leaves_room_for_the_times() -> None:
    board = Board()
    board.apply(dataclasses.replace(TOLD, summary="long " * 60))
    (told,) = [line for line in drawn(board).splitlines() if "long long" in line]
    for expected in ("07:59:58", "pagerduty", "trigger", "1.2 s", "…"):
        assert expected in told


def test_only_deliveries_count_as_told() -> None:
    board = Board()
    board.apply(dataclasses.replace(TOLD, status="pending"))
    assert board.deliveries == {}
