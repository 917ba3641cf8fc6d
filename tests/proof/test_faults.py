"""The schedule is a function of the seed, and every step is one that somebody can bring about."""

from __future__ import annotations

import pytest

from gateway import crash as gateway_crash
from proof.faults import NOT_DONE, SHARES, WORKERS, rows
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
                crash.points("merge", point)
            if step.action == "gateway":
                ends = step.target.split(",")
                assert {end.partition(":")[0] for end in ends} == set(gateway_crash.STEPS)
                assert all(gateway_crash.points(end) for end in ends)


DEATHS = {"kill": 1, "crash": 2, "kill_all": 2, "kill_leader": 1, "kill_controller": 1}


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_long_form_kills_hundreds(seed: int) -> None:
    steps = [step for row in rows(seed, True) for step in row.steps]
    assert sum(DEATHS.get(step.action, 0) for step in steps) >= 300
    assert sum(step.action == "kill_controller" for step in steps) >= 5
    assert any(step.action == "crash" and "=notify." in step.target for step in steps)


def test_no_row_is_both_done_and_not_and_three_seeds_play_what_the_long_form_plays() -> None:
    long = {row.number for row in rows(1, True)}
    assert not long & set(NOT_DONE)
    assert {row.number for seed in (1, 2, 3) for row in rows(seed, False)} == long
    assert {row.number for row in rows(1, False, everything=True)} == long
    shared = [number for share in SHARES for number in share]
    assert len(shared) == len(set(shared))
    for seed in (1, 2, 3):
        assert {row.number for row in rows(seed, False)} == long - set(shared) | SHARES[seed % 3]


def test_the_flood_is_the_last_of_all() -> None:
    for found in (rows(1, True), rows(2, False)):
        assert [row.number for row in found].index("22") == len(found) - 1
