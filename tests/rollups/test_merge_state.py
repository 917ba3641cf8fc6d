"""Snapshots of a merge: all of it, or a refusal."""

import dataclasses

import pytest

from rollups import merge_state
from rollups.merge import Merge
from rollups.packing import CorruptState, pack, unpack
from tests.rollups.partials import LATENESS, T0, Point, Writer


def merge_with_everything() -> Merge:
    """Open and final panes, loose late rows, coarse windows, SLO cells, series that wait for a drain."""
    log = [Point(0, T0, 1.0), Point(2, T0, 2.0), Point(0, T0 + 80_000, 3.0), Point(1, T0, 4.0), Point(1, T0 + 1, 5.0)]
    merge, writer = Merge(0, 1, LATENESS), Writer(0)
    for offset, through in enumerate((1, 2, 3, 4)):
        merge.apply(writer.write(log, through, T0 + through), offset)
        if through == 2:
            merge.drain()
    return merge


def test_it_comes_back():
    merge, other = merge_with_everything(), Merge(0, 1, LATENESS)
    assert any(len(share.loose) for pane in merge.kinds[0].panes.values() for share in pane.shares.values())
    data = merge_state.snapshot(merge)
    merge_state.restore(other, data)
    assert merge_state.snapshot(other) == data
    assert other.counters == merge.counters
    here, there = merge.drain(), other.drain()
    assert [dataclasses.replace(batch, cells=None) for batch in here] == [
        dataclasses.replace(batch, cells=None) for batch in there
    ]
    assert [batch.cells.columns() for batch in here] == [batch.cells.columns() for batch in there]


@pytest.mark.parametrize("other", [Merge(1, 1), Merge(0, 2)], ids=["partition", "sources"])
def test_another_shape_is_refused(other):
    with pytest.raises(CorruptState, match="this is"):
        merge_state.restore(other, merge_state.snapshot(merge_with_everything()))


def test_damage_is_refused():
    data = merge_state.snapshot(merge_with_everything())
    for wrong in (b"", data[:-1], data[:40] + bytes([data[40] ^ 1]) + data[41:]):
        with pytest.raises(CorruptState):
            merge_state.restore(Merge(0, 1), wrong)


def test_what_is_missing_is_refused():
    found = unpack(merge_state.snapshot(merge_with_everything()))
    for name in ("fence", "scalars", "pane/kind", "changed", "slo/group"):
        columns = {key: column for key, column in found.columns.items() if key != name}
        frozen = found.frozen[:3] if name == "fence" else found.frozen
        with pytest.raises(CorruptState):
            merge_state.restore(Merge(0, 1), pack(found.meta, columns, frozen))
