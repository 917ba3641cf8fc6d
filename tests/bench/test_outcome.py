"""The account of a run: rollups by their newest revision, and the worker's own counters.

What: upserts and checks on small columns. Why: the check that lets a time count must itself be strict. It refuses a
broker.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench.outcome import WrongOutcome, check_account, newest_count
from bench.rig import Metrics


def block(*rows: tuple[int, int, int, int]) -> tuple[np.ndarray, ...]:
    """Rows of (series, start, revision, count) as columns."""
    return tuple(np.array(rows, np.int64).T)


def test_each_series_and_window_counts_once():
    assert newest_count([block((1, 0, 0, 5), (1, 10, 0, 7), (2, 0, 0, 11))]) == 23


def test_the_newest_revision_wins_wherever_it_stands():
    assert newest_count([block((1, 0, 1, 6)), block((1, 0, 0, 5), (2, 0, 0, 1))]) == 7


def test_of_equal_revisions_the_last_wins():
    assert newest_count([block((1, 0, 0, 5)), block((1, 0, 0, 5))]) == 5


def test_nothing_read_is_nothing():
    assert newest_count([]) == 0


def test_a_right_account_passes():
    check_account(Metrics({"tocsin_measurements_total{accepted}": 10.0}), 10)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tocsin_measurements_total{accepted}": 9.0},
        {"tocsin_measurements_total{accepted}": 11.0},
        {"tocsin_measurements_total{accepted}": 10.0, "tocsin_unaccounted_events": 1.0},
        {"tocsin_measurements_total{accepted}": 10.0, "tocsin_measurements_total{deduped}": 1.0},
        {"tocsin_measurements_total{accepted}": 10.0, "tocsin_refused_records_total": 1.0},
        {},
    ],
)
def test_a_wrong_account_is_refused(wrong):
    with pytest.raises(WrongOutcome):
        check_account(Metrics(wrong), 10)
