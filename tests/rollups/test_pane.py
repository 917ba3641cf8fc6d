"""Panes: columns grow and keep what they hold, outcomes may come later, exemplars stay bounded."""

from __future__ import annotations

import numpy as np

from rollups import limits
from rollups.pane import Exemplars, Pane, PaneRows


def rows(slots: list[int], values: list[float], outcomes: list[int] | None = None) -> PaneRows:
    size = len(slots)
    outcome = np.array(outcomes or [2] * size, np.uint8)
    return PaneRows(np.array(slots), np.array(values, np.float64), outcome, np.ones(size, np.uint64))


def test_growth_keeps_cells_and_outcomes_may_come_late() -> None:
    pane = Pane(0, 3, fingerprint=True, provisional=True)
    pane.reserve(2, outcomes=False)
    pane.add(rows([0, 1, 1], [1.5, -2.0, 7.0]), None, None)
    pane.reserve(500, outcomes=True)
    pane.add(rows([499, 0, 1], [3.0, 0.25, 1.0], [1, 0, 1]), None, np.array([True, True, False]))
    pane.carry()
    assert pane.capacity == 512
    assert pane.count[[0, 1, 2, 499]].tolist() == [2, 3, 0, 1]
    assert pane.low[[0, 1, 499]].tolist() == [0.25, -2.0, 3.0]
    assert pane.high[[0, 1, 499]].tolist() == [1.5, 7.0, 3.0]
    assert (pane.good[[0, 1, 499]].tolist(), pane.total(np.array([0, 1, 499])).tolist()) == ([0, 0, 1], [1, 0, 1])
    assert pane.fingerprint[[0, 1, 2, 499]].tolist() == [2, 3, 0, 1]
    assert np.flatnonzero(pane.touched).tolist() == [0, 1, 499]


def test_sums_are_carried_before_the_fraction_can_overflow(monkeypatch) -> None:
    monkeypatch.setattr("rollups.pane.MAX_ROWS_BETWEEN_CARRIES", 8)
    pane = Pane(0, 3, fingerprint=False, provisional=False)
    pane.reserve(1, outcomes=False)
    for _ in range(100):
        pane.add(rows([0] * 5, [0.4999] * 5), None, None)
        assert abs(int(pane.sum_frac[0])) <= 9 << 39
    assert limits.MAX_ROWS_BETWEEN_CARRIES * (1 << 39) + (1 << 40) < 1 << 63


def test_a_pane_is_the_same_after_a_restart_and_after_renumbering() -> None:
    pane = Pane(0, 3, fingerprint=False, provisional=True)
    pane.reserve(10, outcomes=True)
    pane.add(rows([2, 9, 2], [1.0, 2.0, 1e9], [1, 0, 2]), None, None)
    pane.add_exemplars(candidates([2, 9], [1.0, 2.0]))
    before = {name: column.tolist() for name, column in pane.columns().items()}
    other = Pane(0, 3, fingerprint=False, provisional=True)
    other.load(pane.columns(), 10)
    assert {name: column.tolist() for name, column in other.columns().items()} == before
    pane.renumber(np.array([0, 2, 5, 9]))
    after = {name: column.tolist() for name, column in pane.columns().items()}
    assert after["slot"] == [1, 3]
    assert after["hist_slot"] == [1, 1, 3]
    assert after["exemplar_slot"] == [1, 3]
    assert {name: after[name] for name in ("count", "low", "high", "good", "hist_code", "touched")} == {
        name: before[name] for name in ("count", "low", "high", "good", "hist_code", "touched")
    }


def candidates(slots: list[int], values: list[float]) -> Exemplars:
    size = len(slots)
    trace = np.frombuffer(bytes(range(16)) * size, "V16")
    return Exemplars(np.array(slots), np.zeros(size, np.uint8), np.array(values), trace, np.zeros(size, np.int64))


def test_candidates_do_not_pile_up() -> None:
    pane = Pane(0, 3, fingerprint=False, provisional=False)
    for start in range(0, 200_000, 5_000):
        pane.add_exemplars(candidates([1] * 5_000, np.arange(start, start + 5_000, dtype=np.float64).tolist()))
        assert len(pane.exemplars.slot) <= limits.PENDING_EXEMPLAR_ROWS + 5_002
    assert pane.exemplars.best().value.tolist() == [199_999.0]
