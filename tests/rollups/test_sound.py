"""What may be applied: everything that a writer writes, and nothing that would do harm."""

import dataclasses

import numpy as np
import pytest

from rollups import sound
from rollups.limits import NEVER, PANE_MS
from rollups.sound import Soundness
from schemas import corrupt
from schemas.cells import Cells
from schemas.corrupt import CorruptRecord
from schemas.limits import TIME_BOUND_MS
from tests.rollups.partials import SERIES, T0, Point, Writer

SOURCES = 3
LOG = [Point(number % len(SERIES), T0 + number * 700, 1.5 + number) for number in range(60)]


def batch(**changed):
    return dataclasses.replace(Writer(1).write(LOG, 59, T0 + 60_000), **changed)


def cells(**changed) -> Cells:
    return dataclasses.replace(batch().cells, **changed)


def column(name: str, row: int, value: float) -> Cells:
    """The good cells, with one value changed."""
    found = getattr(batch().cells, name).copy()
    found[row] = value
    return cells(**{name: found})


def test_what_a_writer_writes_is_sound():
    checked, writer = Soundness(SOURCES), Writer(2)
    for through in range(0, 60, 7):
        written = writer.write(LOG, through, T0 + through * 700)
        checked.check(written)
    assert len(batch().cells)
    checked.check(batch(cells=Cells.empty(), as_of=-1))
    checked.check(batch(cells=Cells.empty(), watermarks=(NEVER,) * 4, max_event_ms=(NEVER,) * 4, now_ms=NEVER))


@pytest.mark.parametrize(
    ("made", "reason", "said"),
    [
        (lambda: batch(partition=SOURCES), corrupt.VALUE, "partition 3 of 3"),
        (lambda: batch(partition=-1), corrupt.VALUE, "partition -1"),
        (lambda: batch(as_of=-2), corrupt.VALUE, "offset -2"),
        (lambda: batch(watermarks=(T0,) * 3), corrupt.COLUMNS, "watermarks for 3"),
        (lambda: batch(max_event_ms=()), corrupt.COLUMNS, "max_event_ms for 0"),
        (lambda: batch(watermarks=(T0, T0, T0, TIME_BOUND_MS)), corrupt.TIME, "watermarks"),
        (lambda: batch(max_event_ms=(NEVER - 1,) * 4), corrupt.TIME, "max_event_ms"),
        (lambda: batch(now_ms=2**62), corrupt.TIME, "now_ms"),
        (lambda: batch(cells=column("pane_ms", 0, T0 + 1)), corrupt.TIME, "panes"),
        (lambda: batch(cells=column("pane_ms", 0, -PANE_MS)), corrupt.TIME, "panes"),
        (lambda: batch(cells=column("offset", 0, 60)), corrupt.VALUE, "as of"),
        (lambda: batch(cells=column("offset", 0, -1)), corrupt.VALUE, "as of"),
        (lambda: batch(cells=column("count", 0, -1)), corrupt.VALUE, "less than no"),
        (lambda: batch(cells=column("hist_count", 0, -1)), corrupt.VALUE, "less than no"),
        (lambda: batch(cells=column("low", 0, np.nan)), corrupt.VALUE, "not a number"),
        (lambda: batch(cells=column("high", 0, np.inf)), corrupt.VALUE, "not a number"),
        (
            lambda: batch(cells=cells(definition_end=np.repeat(batch().cells.definition_end[1::2], 2))),
            corrupt.COLUMNS,
            "without",
        ),
        (lambda: batch(cells=column("series", -1, 7)), corrupt.RESOLUTION, "is of group 7"),
        (lambda: batch(cells=column("definition_bytes", -1, 255)), corrupt.RESOLUTION, "no SLO group"),
    ],
)
def test_what_would_do_harm_is_refused(made, reason, said):
    with pytest.raises(CorruptRecord, match=said) as error:
        Soundness(SOURCES).check(made())
    assert error.value.reason == reason


def test_what_is_remembered_changes_no_answer(monkeypatch):
    monkeypatch.setattr(sound, "KNOWN_GROUPS", 0)
    checked, bad = Soundness(SOURCES), batch(cells=column("series", -1, 7))
    for _ in range(2):
        checked.check(batch())
        with pytest.raises(CorruptRecord):
            checked.check(bad)
