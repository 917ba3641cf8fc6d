"""The laws of `combine`: associative, commutative, idempotent on its own answers, to the byte; and of its buckets."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.buckets import Bases, Buckets
from rollups.combine import combine
from rollups.sums import carry, split
from schemas.cells import Cells


def block(seed: int, rows: int, sides: int) -> Cells:
    """Rows of few series and panes, so that many meet."""
    rng = np.random.default_rng(seed)
    sides = sides if rows else 0
    value = rng.choice([0.0, -0.0, 1.5, -2.25, 1e9, 0.1], rows)
    whole, frac = carry(*split(value))
    series = rng.integers(0, 4, rows)
    definitions = [b"abcd"[: 2 + number % 2] * int(rng.integers(0, 4) > 0) for number in series.tolist()]
    few = {name: rng.integers(0, 4, rows) for name in ("offset", "revision", "flags", "count", "good", "total")}
    return Cells.of(
        rows,
        **few,
        series=series,
        pane_ms=rng.integers(0, 3, rows) * 10_000,
        sum_whole=whole,
        sum_frac=frac,
        low=value,
        high=value,
        fingerprint=rng.integers(0, 2**64, rows, np.uint64),
        hist_row=rng.integers(0, max(rows, 1), sides),
        hist_bucket=rng.integers(-3, 4, sides),
        hist_count=rng.integers(1, 5, sides),
        exemplar_row=rng.integers(0, max(rows, 1), sides),
        exemplar_value=rng.choice([1.0, 2.0], sides),
        exemplar_time_ms=rng.integers(0, 2, sides),
        exemplar_bad=rng.integers(0, 2, sides),
        exemplar_trace=rng.integers(0, 3, (sides, 16), np.uint8).view("V16").reshape(-1),
        definition_end=np.cumsum([len(definition) for definition in definitions]),
        definition_bytes=np.frombuffer(b"".join(definitions), np.uint8),
    )


def blocks() -> st.SearchStrategy[Cells]:
    return st.builds(block, st.integers(0, 2**32), st.integers(0, 12), st.integers(0, 20))


def bytes_of(cells: Cells) -> dict[str, bytes]:
    cells.check()
    return cells.columns()


@settings(max_examples=200, deadline=None)
@given(blocks(), blocks(), blocks())
def test_no_order_and_no_grouping_shows(a: Cells, b: Cells, c: Cells) -> None:
    whole = bytes_of(combine(Cells.concatenate([a, b, c])))
    assert bytes_of(combine(Cells.concatenate([c, a, b]))) == whole
    left = combine(Cells.concatenate([combine(Cells.concatenate([a, b])), c]))
    right = combine(Cells.concatenate([combine(a), combine(Cells.concatenate([b, c]))]))
    assert bytes_of(left) == bytes_of(right) == whole
    assert bytes_of(combine(left)) == whole


@settings(deadline=None)
@given(blocks(), st.randoms(use_true_random=False))
def test_rows_are_ordered_and_totals_are_kept(cells: Cells, random: object) -> None:
    order = list(range(len(cells)))
    random.shuffle(order)
    out = combine(cells.take(np.array(order, np.int64)))
    assert bytes_of(out) == bytes_of(combine(cells))
    keys = list(zip(out.series.tolist(), out.pane_ms.tolist(), strict=True))
    assert keys == sorted(set(keys))
    for name in ("count", "good", "total", "hist_count"):
        assert getattr(out, name).sum() == getattr(cells, name).sum()


@given(blocks())
def test_a_further_key_holds_rows_apart(cells: Cells) -> None:
    rows = np.arange(len(cells), dtype=np.int64)
    apart = combine(cells, rows)
    assert len(apart) == len(cells)
    assert bytes_of(combine(apart)) == bytes_of(combine(cells))


ADDITIONS = st.lists(
    st.lists(st.tuples(st.integers(0, 5), st.integers(-60, 60), st.integers(1, 40)), min_size=1, max_size=8), max_size=8
)


@settings(deadline=None)
@given(ADDITIONS, st.booleans(), st.sampled_from([0, 3, 4]))
def test_buckets_count_the_same_in_every_form(additions: list, dense: bool, scale: int) -> None:
    buckets = Buckets(scale, 1, Bases() if dense else None)
    expected: Counter[tuple[int, int]] = Counter()
    for addition in additions:
        slots = np.array([slot for slot, _, times in addition for _ in range(times)])
        codes = np.array([code for _, code, times in addition for _ in range(times)], np.int32)
        buckets.add(slots, codes, 8)
        expected.update(zip(slots.tolist(), codes.tolist(), strict=True))
        found = [column.tolist() for column in buckets.consolidated()]
        assert list(zip(*found, strict=True)) == [(*key, count) for key, count in sorted(expected.items())]


def test_a_window_spills_before_a_count_overflows() -> None:
    buckets = Buckets(3, 1, Bases())
    for _ in range(5):
        buckets.add(np.zeros(50_000, np.int64), np.full(50_000, 7, np.int32), 8)
    slot, code, count = buckets.consolidated()
    assert (slot.tolist(), code.tolist(), count.tolist()) == ([0], [7], [250_000])


def test_a_busy_pane_learns_its_windows_and_hands_them_on() -> None:
    buckets, rng = Buckets(3, 4), np.random.default_rng(7)
    slots, codes = rng.integers(0, 64, 60_000), rng.integers(300, 340, 60_000).astype(np.int32)
    expected = Counter(zip(slots.tolist(), codes.tolist(), strict=True))
    for start in range(0, 60_000, 6_000):
        buckets.add(slots[start : start + 6_000], codes[start : start + 6_000], 64)
    assert buckets.handed_on() is not None
    found = [column.tolist() for column in buckets.consolidated()]
    assert list(zip(*found, strict=True)) == [(*key, count) for key, count in sorted(expected.items())]
