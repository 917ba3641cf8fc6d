"""Dedupe: the first of each number, however the log is cut, within bounds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.dedupe import Dedupe, see
from rollups.limits import Limits

WIDE = Limits()
TIGHT = Limits(max_producers=4, producer_memory_ms=1_000, max_gaps=2)

Entry = tuple[int, int, int]  # producer, sequence, broker time


def admit(dedupe: Dedupe, log: list[Entry], first_offset: int) -> list[bool]:
    columns = [np.array(column) for column in zip(*log, strict=True)] if log else [np.zeros(0, np.int64)] * 3
    offset = np.arange(first_offset, first_offset + len(log))
    return dedupe.admit(columns[0].astype(np.uint64), columns[1], columns[2], offset).tolist()


ENTRIES = st.lists(st.tuples(st.integers(0, 7), st.integers(-1, 12), st.integers(0, 700)), max_size=60)


def with_time(entries: list[Entry]) -> list[Entry]:
    """The third number becomes a time that moves on."""
    now, out = 0, []
    for producer, sequence, step in entries:
        now += step
        out.append((producer, sequence, now))
    return out


@given(ENTRIES)
def test_the_first_of_each_number_is_new(entries: list[Entry]) -> None:
    seen: set[tuple[int, int]] = set()
    expected = []
    for producer, sequence, _ in entries:
        expected.append(sequence < 0 or (producer, sequence) not in seen)
        seen.add((producer, sequence))
    assert admit(Dedupe(WIDE), with_time(entries), 0) == expected


@settings(max_examples=300)
@given(ENTRIES, st.lists(st.integers(0, 60), max_size=6), st.sampled_from([WIDE, TIGHT]), st.booleans())
def test_no_cut_and_no_restart_shows(entries: list[Entry], cuts: list[int], limits: Limits, restart: bool) -> None:
    log = with_time(entries)
    whole = Dedupe(limits)
    expected = admit(whole, log, 0)
    parts, answers = Dedupe(limits), []
    bounds = sorted({0, len(log), *(min(cut, len(log)) for cut in cuts)})
    for start, stop in pairwise(bounds):
        answers += admit(parts, log[start:stop], start)
        if restart:
            columns, parts = parts.columns(), Dedupe(limits)
            parts.load({name: column.copy() for name, column in columns.items()})
    assert answers == expected
    assert {name: c.tolist() for name, c in parts.columns().items()} == {
        name: c.tolist() for name, c in whole.columns().items()
    }


def test_holes_beyond_the_limit_count_as_seen_from_the_lowest() -> None:
    dedupe = Dedupe(Limits(max_gaps=2))
    assert admit(dedupe, [(1, n, 0) for n in (0, 10, 20, 30)], 0) == [True] * 4
    assert admit(dedupe, [(1, 5, 0), (1, 15, 0), (1, 25, 0)], 4) == [False, True, True]


def test_at_the_limit_the_longest_silent_eighth_is_forgotten() -> None:
    dedupe = Dedupe(Limits(max_producers=16))
    admit(dedupe, [(producer, 0, 0) for producer in range(16)], 0)
    admit(dedupe, [(0, 1, 0), (99, 0, 0)], 16)
    assert dedupe.forgotten == 3
    assert len(dedupe) == 14
    assert admit(dedupe, [(0, 1, 0), (1, 0, 0), (15, 0, 0)], 18) == [False, True, False]


def test_a_long_silence_of_broker_time_is_forgetting() -> None:
    dedupe = Dedupe(Limits(producer_memory_ms=1_000))
    assert admit(dedupe, [(1, 5, 0), (1, 5, 900), (1, 5, 2_000)], 0) == [True, False, True]


@given(st.lists(st.integers(0, 30), max_size=60))
def test_intervals_stay_disjoint_and_ascending(numbers: list[int]) -> None:
    seen: list[tuple[int, int]] = []
    known: set[int] = set()
    for number in numbers:
        assert see(seen, number, 100) == (number not in known)
        known.add(number)
        assert {n for begin, end in seen for n in range(begin, end + 1)} == known
        assert all(end + 1 < begin for (_, end), (begin, _) in pairwise(seen))
