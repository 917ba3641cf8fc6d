"""Snapshots of a Merge: all of its state as bytes, and back.

What: `snapshot(merge)` and `restore(merge, data)`; a restored merge behaves as the one that was written. Blocks that are
folded already go in as they are. It refuses bytes of another partition, number of source partitions or version:
CorruptState.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from rollups.folding import fold, unfold
from rollups.latest import NONE, Series
from rollups.limits import SOURCE_KINDS
from rollups.merge import Merge
from rollups.packing import CorruptState, pack, unpack
from rollups.pane_table import MergePane, Share
from rollups.plain import NO_CELLS
from rollups.windows import Window
from schemas.cells import Cells, Column

VERSION = "3"
_PANE = ("kind", "start_ms", "final", "revision", "batches", "emitted_ms", "whole", "shares", "changed")
_SHARE = ("source", "is_folded", "size", "newest", "loose", "held")
_WINDOW = (
    "kind",
    "window_ms",
    "start_ms",
    "is_folded",
    "size",
    "loose",
    "final",
    "revision",
    "batches",
    "emitted_ms",
    "whole",
    "changed",
)

Table = dict[str, list[int]]


class _Writer:
    """Tables of integers, frozen blocks and changed series, in the order of writing."""

    def __init__(self) -> None:
        self.tables: dict[str, list[tuple[int, ...]]] = {"pane": [], "share": [], "window": []}
        self.blocks: list[bytes] = []
        self.changed: list[Series] = [NONE]

    def mark(self, changed: list[Series]) -> int:
        """How many series changed since the last emission, plus one when there was an emission to come at all."""
        if not changed:
            return 0
        series = np.unique(np.concatenate(changed))
        self.changed.append(series)
        return len(series) + 1

    def loose(self, cells: Cells) -> int:
        """Whether there are loose cells."""
        if len(cells):
            self.blocks.append(fold(cells))
        return int(len(cells) > 0)

    def pane(self, kind: int, pane: MergePane) -> None:
        """A pane and its shares."""
        for source, share in sorted(pane.shares.items()):
            self.blocks.append(share.folded or fold(share.rows))
            loose = self.loose(share.loose)
            self.tables["share"].append((source, int(bool(share.folded)), share.size, share.newest, loose, share.held))
        self.tables["pane"].append(
            (
                kind,
                pane.start_ms,
                int(pane.final),
                pane.revision,
                pane.batches,
                pane.emitted_ms,
                int(pane.whole),
                len(pane.shares),
                self.mark(pane.changed),
            )
        )

    def window(self, kind: int, window_ms: int, window: Window) -> None:
        """A coarse window."""
        self.blocks += [window.folded] if window.folded else []
        loose = self.loose(window.loose)
        self.tables["window"].append(
            (
                kind,
                window_ms,
                window.start_ms,
                int(bool(window.folded)),
                window.size,
                loose,
                int(window.final),
                window.revision,
                window.batches,
                window.emitted_ms,
                int(window.whole),
                self.mark(window.changed),
            )
        )


def snapshot(merge: Merge) -> bytes:
    """Bytes of the whole state as of `merge.fence`. The merge may be used on."""
    out = _Writer()
    for kind, coarse in enumerate(merge.kinds):
        for _, pane in sorted(coarse.panes.items()):
            out.pane(kind, pane)
        for (window_ms, _), window in sorted(coarse.windows.items()):
            out.window(kind, window_ms, window)
    columns: dict[str, Column] = {
        "watermarks": merge.sources.watermarks.ravel(),
        "max_event_ms": merge.sources.max_event_ms.ravel(),
        "grew_ms": merge.sources.grew_ms.ravel(),
        "as_of": merge.sources.as_of,
        "changed": np.concatenate(out.changed).astype(np.int64),
        "scalars": np.array([merge.fence, merge.sources.now_ms, merge.series_kept], np.int64),
        "closed_before": np.array(merge.closed_before, np.int64),
        "horizon": np.array(merge.horizon, np.int64),
    }
    for name, fields in (("pane", _PANE), ("share", _SHARE), ("window", _WINDOW)):
        table = np.array(out.tables[name], np.int64).reshape(-1, len(fields))
        columns |= {f"{name}/{field}": table[:, at].copy() for at, field in enumerate(fields)}
    columns |= {f"series/{name}": column for name, column in merge.series.columns().items()}
    columns |= {f"groups/{name}": column for name, column in merge.slo.groups.columns().items()}
    columns |= {f"slo/{name}": column for name, column in merge.slo.columns().items()}
    columns |= {f"owing/{name}": column for name, column in merge.owing.columns().items()}
    meta = _shape(merge) | {"counters": json.dumps(dict(merge.counters))}
    return pack(meta, columns, [merge.series.frozen(), merge.slo.groups.frozen(), *out.blocks, *merge.slo.frozen()])


def _shape(merge: Merge) -> dict[str, str]:
    return {"version": VERSION, "partition": str(merge.partition), "sources": str(len(merge.sources.as_of))}


def restore(merge: Merge, data: bytes) -> None:
    """Load a snapshot into a new merge of the same shape. Raises CorruptState, and then the merge is void."""
    found = unpack(data)
    here, there = _shape(merge), {name: found.meta.get(name) for name in _shape(merge)}
    if here != there:
        raise CorruptState(f"the snapshot is of {there}, this is {here}")
    try:
        _load(merge, found.columns, iter(found.frozen))
        merge.counters = Counter(json.loads(found.meta["counters"]))
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise CorruptState(f"{type(error).__name__}: {error}") from error


def _load(merge: Merge, columns: Mapping[str, Column], blocks: Iterator[bytes]) -> None:
    merge.fence, merge.sources.now_ms, merge.series_kept = columns["scalars"].tolist()
    merge.closed_before, merge.horizon = columns["closed_before"].tolist(), columns["horizon"].tolist()
    merge.sources.as_of = columns["as_of"].astype(np.int64)
    merge.sources.watermarks = columns["watermarks"].astype(np.int64).reshape(-1, SOURCE_KINDS)
    merge.sources.max_event_ms = columns["max_event_ms"].astype(np.int64).reshape(-1, SOURCE_KINDS)
    if "grew_ms" in columns:  # snapshots of before decision 13 do not know it
        merge.sources.grew_ms = columns["grew_ms"].astype(np.int64).reshape(-1, SOURCE_KINDS)
    merge.series.load(_family(columns, "series"), next(blocks))
    merge.slo.groups.load(_family(columns, "groups"), next(blocks))
    merge.owing.load(_family(columns, "owing"))
    reader = _Reader(columns, blocks)
    for kind, coarse in enumerate(merge.kinds):
        coarse.panes = {pane.start_ms: pane for pane in reader.panes(kind)}
        coarse.windows = {(window_ms, window.start_ms): window for window_ms, window in reader.windows(kind)}
    merge.slo.load(_family(columns, "slo"), list(blocks))


def _family(columns: Mapping[str, Column], prefix: str) -> dict[str, Column]:
    return {
        name.removeprefix(f"{prefix}/"): column for name, column in columns.items() if name.startswith(f"{prefix}/")
    }


class _Reader:
    """Inverse of `_Writer`: rows come in the order in which they were written, kind by kind."""

    def __init__(self, columns: Mapping[str, Column], blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._changed, self._at = columns["changed"].astype(np.uint64), 0
        self._panes = _rows(columns, "pane", _PANE)
        self._shares = _rows(columns, "share", _SHARE)[::-1]
        self._windows = _rows(columns, "window", _WINDOW)

    def _marked(self, mark: int) -> list[Series]:
        if not mark:
            return []
        self._at += mark - 1
        return [self._changed[self._at - mark + 1 : self._at].copy()]

    def _block(self) -> bytes:
        block = next(self._blocks, None)
        if block is None:
            raise CorruptState("blocks are missing")
        return block

    def _loose(self, there: int) -> Cells:
        return unfold(self._block()) if there else NO_CELLS

    def panes(self, kind: int) -> Iterator[MergePane]:
        """All panes of the kind."""
        for row in (row for row in self._panes if row["kind"] == kind):
            pane = MergePane(
                row["start_ms"],
                {},
                bool(row["final"]),
                row["revision"],
                row["batches"],
                row["emitted_ms"],
                bool(row["whole"]),
                None,
                self._marked(row["changed"]),
            )
            for _ in range(row["shares"]):
                share, block = self._shares.pop(), self._block()
                pane.shares[share["source"]] = (
                    Share(NO_CELLS, block, share["size"], share["newest"], self._loose(share["loose"]), share["held"])
                    if share["is_folded"]
                    else Share(unfold(block), held=share["held"])
                )
            yield pane

    def windows(self, kind: int) -> Iterator[tuple[int, Window]]:
        """(length, window) of all coarse windows of the kind."""
        for row in (row for row in self._windows if row["kind"] == kind):
            folded = self._block() if row["is_folded"] else b""
            yield (
                row["window_ms"],
                Window(
                    row["start_ms"],
                    folded,
                    row["size"],
                    self._loose(row["loose"]),
                    bool(row["final"]),
                    row["revision"],
                    row["batches"],
                    row["emitted_ms"],
                    bool(row["whole"]),
                    self._marked(row["changed"]),
                ),
            )


def _rows(columns: Mapping[str, Column], name: str, fields: tuple[str, ...]) -> list[dict[str, int]]:
    values = [columns[f"{name}/{field}"].tolist() for field in fields]
    return [dict(zip(fields, row, strict=True)) for row in zip(*values, strict=True)]
