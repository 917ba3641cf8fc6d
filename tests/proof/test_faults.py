"""The schedule is a function of the seed, and every step is one that somebody can bring about."""

from __future__ import annotations

from proof.faults import NOT_DONE, WORKERS, rows
from proof.nemesis import Nemesis
from streams import crash


def test_a_seed_gives_the_same_schedule_and_another_gives_another() -> None:
    assert rows(1, False) == rows(1, False)
    assert rows(1, True) != rows(2, True)


def test_every_action_is_known_and_every_crash_point_exists() -> None:
    for row in [*rows(5, True), *rows(6, False)]:
        for step in row.steps:
            assert hasattr(Nemesis, f"_do_{step.action}")
            if step.action == "crash":
                name, _, point = step.target.partition("=")
                assert name in WORKERS
                crash.points("merge", point, lambda: None)


def test_the_long_form_kills_hundreds_and_no_row_is_both_done_and_not() -> None:
    long = rows(1, True)
    assert sum(step.action in ("kill", "crash", "kill_all", "kill_leader") for row in long for step in row.steps) >= 300
    assert not {row.number for row in long} & set(NOT_DONE)
