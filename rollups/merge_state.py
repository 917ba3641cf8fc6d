"""Snapshots of a Merge: all of its state as bytes, and back.

What: `snapshot(merge)` and `restore(merge, data)`; a restored merge behaves as the one that was written. Archived
blocks are compressed already and go in as they are. It refuses bytes of another partition, number of source
partitions or version: CorruptState.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import numpy as np

from rollups.limits import SOURCE_KINDS
from rollups.merge import Merge
from rollups.packing import CorruptState, pack, unpack
from rollups.pane_table import MergePane
from rollups.windows import Window, fold, unfold
from schemas.cells import Cells, Column

VERSION = "1"


def snapshot(merge: Merge) -> bytes:
    """Bytes of the whole state as of `merge.fence`."""
    frozen: list[bytes] = []
    columns: dict[str, Column] = {
        "watermarks": merge.sources.watermarks.ravel(),
        "max_event_ms": merge.sources.max_event_ms.ravel(),
        "as_of": merge.sources.as_of,
        "closed_before": np.array(merge.closed_before, np.int64),
    }
    panes, windows, slo = [], [], []
    for kind in range(SOURCE_KINDS):
        for start_ms, pane in sorted(merge.panes[kind].items()):
            columns[f"pane/{kind}/{start_ms}"] = pane.changed
            blocks = pane.folded if pane.final else {source: fold(rows) for source, rows in pane.by_source.items()}
            panes.append([kind, start_ms, pane.final, pane.batches, pane.emitted_final, sorted(blocks)])
            frozen += [blocks[source] for source in sorted(blocks)]
        for (window_ms, start_ms), window in sorted(merge.coarse[kind].items()):
            columns[f"window/{kind}/{window_ms}/{start_ms}"] = window.changed
            windows.append([kind, window_ms, start_ms, window.final, window.batches, window.emitted_final])
            frozen.append(window.folded if window.final else fold(Cells.concatenate(window.blocks)))
    for (pane_ms, source), cells in sorted(merge.slo.cells.items()):
        slo.append([pane_ms, source])
        frozen.append(fold(cells))
    scalars = {
        "fence": merge.fence,
        "now_ms": merge.sources.now_ms,
        "dropped_before_ms": merge.slo.dropped_before_ms,
        "slo_beyond_horizon": merge.slo.beyond_horizon,
        "counters": dict(merge.counters),
    }
    meta = _shape(merge) | {"state": json.dumps([scalars, panes, windows, slo])}
    return pack(meta, columns, frozen)


def _shape(merge: Merge) -> dict[str, str]:
    return {"version": VERSION, "partition": str(merge.partition), "sources": str(len(merge.sources.as_of))}


def restore(merge: Merge, data: bytes) -> None:
    """Load a snapshot into a new merge of the same shape. Raises CorruptState, and then the merge is void."""
    found = unpack(data)
    here, there = _shape(merge), {name: found.meta.get(name) for name in _shape(merge)}
    if here != there:
        raise CorruptState(f"the snapshot is of {there}, this is {here}")
    scalars, panes, windows, slo = json.loads(found.meta["state"])
    columns, frozen = found.columns, iter(found.frozen)
    merge.fence, merge.sources.now_ms = scalars["fence"], scalars["now_ms"]
    merge.slo.dropped_before_ms = scalars["dropped_before_ms"]
    merge.slo.beyond_horizon = scalars["slo_beyond_horizon"]
    merge.counters = Counter(scalars["counters"])
    merge.closed_before = columns["closed_before"].tolist()
    merge.sources.as_of = columns["as_of"].astype(np.int64)
    merge.sources.watermarks = columns["watermarks"].astype(np.int64).reshape(-1, SOURCE_KINDS)
    merge.sources.max_event_ms = columns["max_event_ms"].astype(np.int64).reshape(-1, SOURCE_KINDS)
    _panes_and_windows(merge, panes, windows, columns, frozen)
    for pane_ms, source in slo:
        merge.slo.cells[pane_ms, source] = unfold(next(frozen))


def _panes_and_windows(
    merge: Merge,
    panes: list[tuple[int, int, bool, int, bool, list[int]]],
    windows: list[tuple[int, int, int, bool, int, bool]],
    columns: dict[str, Column],
    frozen: Iterator[bytes],
) -> None:
    """In the order in which `snapshot` wrote: by kind, that kind's panes and then its windows."""
    for kind in range(SOURCE_KINDS):
        for _, start_ms, final, batches, emitted, sources in (pane for pane in panes if pane[0] == kind):
            changed = columns[f"pane/{kind}/{start_ms}"].astype(np.uint64)
            pane = MergePane(start_ms, final=final, changed=changed, batches=batches, emitted_final=emitted)
            for source in sources:
                block = next(frozen)
                if final:
                    pane.folded[source] = block
                else:
                    pane.by_source[source] = unfold(block)
            merge.panes[kind][start_ms] = pane
        for _, window_ms, start_ms, final, batches, emitted in (window for window in windows if window[0] == kind):
            block = next(frozen)
            changed = columns[f"window/{kind}/{window_ms}/{start_ms}"].astype(np.uint64)
            window = Window(
                start_ms, [] if final else [unfold(block)], block if final else b"", final, changed, batches, emitted
            )
            merge.coarse[kind][window_ms, start_ms] = window
