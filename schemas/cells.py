"""Cells: the one columnar form of aggregated telemetry, used by partials, rollups and state.

What: n rows, one per (series, pane), as numpy columns; histograms and exemplars are sparse side columns that
point at a row. Why: everything downstream of the decoder works on columns, and one form means one codec, one
merge and one law. It refuses to interpret: no merging, no windows, no clocks live here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

#: Column name -> little-endian dtype on the wire. The order is the order on the wire.
ROW_COLUMNS: Mapping[str, np.dtype[np.generic]] = {
    "series": np.dtype("<u8"),  # series id (or SLO group id), see records.SeriesDefinition.id
    "pane_ms": np.dtype("<i8"),  # start of the pane or window, ms since epoch
    "offset": np.dtype("<i8"),  # as-of source offset of the row (late rows: their own record's offset)
    "revision": np.dtype("<i4"),  # rollups: 0, 1, 2, ... ; partials: 0
    "flags": np.dtype("<u1"),  # bit set of FLAG_*
    "count": np.dtype("<i8"),
    "sum_whole": np.dtype("<i8"),  # sum = sum_whole + sum_frac * 2**-40, exact and independent of order
    "sum_frac": np.dtype("<i8"),
    "low": np.dtype("<f8"),
    "high": np.dtype("<f8"),
    "good": np.dtype("<i8"),  # fixed point, units of 2**-20
    "total": np.dtype("<i8"),  # fixed point, units of 2**-20
    "fingerprint": np.dtype("<u8"),  # sum of event ids mod 2**64; 0 unless switched on
}
HISTOGRAM_COLUMNS: Mapping[str, np.dtype[np.generic]] = {
    "hist_row": np.dtype("<i4"),
    "hist_bucket": np.dtype("<i4"),
    "hist_count": np.dtype("<i8"),
}
EXEMPLAR_COLUMNS: Mapping[str, np.dtype[np.generic]] = {
    "exemplar_row": np.dtype("<i4"),
    "exemplar_value": np.dtype("<f8"),
    "exemplar_time_ms": np.dtype("<i8"),
    "exemplar_bad": np.dtype("<u1"),
    "exemplar_trace": np.dtype("V16"),
}
DEFINITION_COLUMNS: Mapping[str, np.dtype[np.generic]] = {
    "definition_end": np.dtype("<i4"),  # end of the row's definition in definition_bytes; it starts where the last ends
    "definition_bytes": np.dtype("<u1"),  # canonical series definitions, one after the other
}
ALL_COLUMNS: Mapping[str, np.dtype[np.generic]] = {
    **ROW_COLUMNS,
    **HISTOGRAM_COLUMNS,
    **EXEMPLAR_COLUMNS,
    **DEFINITION_COLUMNS,
}

FLAG_LATE = 1  # partials: not cumulative; `offset` is the record's own offset
FLAG_SLO = 2  # the row is an SLO group (good, total) and not a series
FLAG_FINAL = 4  # rollups: the window was complete when this was written
FLAG_CORRECTION = 8  # rollups: written after the window had become final

Column = NDArray[np.generic]


class CellsMismatch(ValueError):
    """The columns of a Cells block do not fit together."""

    def __init__(self, column: str, expected: int, found: int) -> None:
        super().__init__(f"column {column!r} holds {found} rows where {expected} were expected")
        self.column = column


@dataclasses.dataclass(frozen=True, slots=True)
class Cells:
    """n rows of aggregated telemetry. Shapes: row columns (n,), side columns (k,), each by its own k."""

    series: NDArray[np.uint64]
    pane_ms: NDArray[np.int64]
    offset: NDArray[np.int64]
    revision: NDArray[np.int32]
    flags: NDArray[np.uint8]
    count: NDArray[np.int64]
    sum_whole: NDArray[np.int64]
    sum_frac: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    good: NDArray[np.int64]
    total: NDArray[np.int64]
    fingerprint: NDArray[np.uint64]
    hist_row: NDArray[np.int32]
    hist_bucket: NDArray[np.int32]
    hist_count: NDArray[np.int64]
    exemplar_row: NDArray[np.int32]
    exemplar_value: NDArray[np.float64]
    exemplar_time_ms: NDArray[np.int64]
    exemplar_bad: NDArray[np.uint8]
    exemplar_trace: NDArray[np.void]
    definition_end: NDArray[np.int32]
    definition_bytes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.series)

    @classmethod
    def empty(cls) -> Cells:
        """A block of no rows."""
        return cls(**{name: np.zeros(0, dtype) for name, dtype in ALL_COLUMNS.items()})

    @classmethod
    def of(cls, rows: int, **columns: Column) -> Cells:
        """Columns given by name; the others are zeros (row columns) or empty (side columns)."""
        full: dict[str, Column] = {}
        for name, dtype in ALL_COLUMNS.items():
            fill = rows if name in ROW_COLUMNS or name == "definition_end" else 0
            column = columns.get(name)
            full[name] = np.zeros(fill, dtype) if column is None else np.ascontiguousarray(column, dtype)
            if name in ROW_COLUMNS or name == "definition_end":
                if len(full[name]) != rows:
                    raise CellsMismatch(name, rows, len(full[name]))
        return cls(**full)  # type: ignore[arg-type]

    def columns(self) -> dict[str, bytes]:
        """Wire form: little-endian bytes by column name."""
        return {name: np.ascontiguousarray(getattr(self, name), dtype).tobytes() for name, dtype in ALL_COLUMNS.items()}

    @classmethod
    def from_columns(cls, columns: Mapping[str, bytes]) -> Cells:
        """Inverse of `columns`. The arrays are read-only views. Raises CellsMismatch when lengths disagree."""
        arrays: dict[str, Column] = {}
        for name, dtype in ALL_COLUMNS.items():
            data = columns.get(name, b"")
            if len(data) % dtype.itemsize:
                raise CellsMismatch(name, len(data) // dtype.itemsize, len(data))
            arrays[name] = np.frombuffer(data, dtype)
        block = cls(**arrays)  # type: ignore[arg-type]
        block.check()
        return block

    def check(self) -> None:
        """Raise CellsMismatch unless every column has the length that the row count and its family ask for."""
        rows = len(self.series)
        for name in (*ROW_COLUMNS, "definition_end"):
            if len(getattr(self, name)) != rows:
                raise CellsMismatch(name, rows, len(getattr(self, name)))
        for family, pointer in ((HISTOGRAM_COLUMNS, "hist_row"), (EXEMPLAR_COLUMNS, "exemplar_row")):
            size = len(getattr(self, pointer))
            for name in family:
                if len(getattr(self, name)) != size:
                    raise CellsMismatch(name, size, len(getattr(self, name)))
            rows_named = getattr(self, pointer)
            if size and (int(rows_named.min()) < 0 or int(rows_named.max()) >= rows):
                raise CellsMismatch(pointer, rows, int(rows_named.max()))
        used = int(self.definition_end[-1]) if rows else 0
        if used != len(self.definition_bytes) or (rows and bool(np.any(np.diff(self.definition_end, prepend=0) < 0))):
            raise CellsMismatch("definition_bytes", used, len(self.definition_bytes))

    def definition(self, row: int) -> bytes:
        """Canonical definition of one row (`records.SeriesDefinition.from_bytes` reads it)."""
        start = int(self.definition_end[row - 1]) if row else 0
        return self.definition_bytes[start : int(self.definition_end[row])].tobytes()

    def take(self, rows: NDArray[np.int64]) -> Cells:
        """The named rows, in that order, with their histograms, exemplars and definitions; each at most once."""
        place = np.full(len(self), -1, np.int32)
        place[rows] = np.arange(len(rows), dtype=np.int32)
        out: dict[str, Column] = {name: getattr(self, name)[rows] for name in ROW_COLUMNS}
        for family, pointer in ((HISTOGRAM_COLUMNS, "hist_row"), (EXEMPLAR_COLUMNS, "exemplar_row")):
            new_row = place[getattr(self, pointer)]
            kept = new_row >= 0
            out |= {name: getattr(self, name)[kept] for name in family}
            out[pointer] = new_row[kept]
        out["definition_end"], out["definition_bytes"] = take_slices(self.definition_end, self.definition_bytes, rows)
        return Cells(**out)  # type: ignore[arg-type]

    @staticmethod
    def concatenate(blocks: list[Cells]) -> Cells:
        """All rows of all blocks, in order."""
        if not blocks:
            return Cells.empty()
        if len(blocks) == 1:
            return blocks[0]
        out: dict[str, Column] = {
            name: np.concatenate([getattr(block, name) for block in blocks]) for name in ALL_COLUMNS
        }
        starts = np.cumsum([0, *(len(block) for block in blocks)])
        for pointer in ("hist_row", "exemplar_row"):
            shifted = [getattr(b, pointer) + np.int32(start) for b, start in zip(blocks, starts, strict=False)]
            out[pointer] = np.concatenate(shifted)
        ends = np.cumsum([0, *(len(block.definition_bytes) for block in blocks)])
        out["definition_end"] = np.concatenate(
            [b.definition_end + np.int32(end) for b, end in zip(blocks, ends, strict=False)]
        )
        return Cells(**out)  # type: ignore[arg-type]


def take_slices(
    ends: NDArray[np.int32], data: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """The named variable-length slices of `data`, packed again: (ends, data). Slice i is [ends[i-1], ends[i])."""
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1].astype(np.int64)]) if len(ends) else np.zeros(0, np.int64)
    lengths = ends[rows].astype(np.int64) - starts[rows]
    new_ends = np.cumsum(lengths)
    within = np.arange(int(new_ends[-1]) if len(rows) else 0) - np.repeat(new_ends - lengths, lengths)
    return new_ends.astype(np.int32), data[np.repeat(starts[rows], lengths) + within]
