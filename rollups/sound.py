"""Sound: whether a partial may be applied at all.

What: `check` refuses a partial that reads well and would still do harm: a source partition that does not exist, clocks
of another length or beyond all time, panes off the grid, rows that are newer than the batch, numbers that are none,
definitions that do not name their row. Why before the merge and not in it: a record that fails halfway leaves half of
itself in the state. The answer depends on the record alone, so a replay refuses the same ones. It refuses to hash again
what 100,000 series rows name; the few rows of SLO groups it reads whole.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from rollups import claims
from rollups.limits import NEVER, PANE_MS, SOURCE_KINDS
from schemas.cells import FLAG_SLO, Cells
from schemas.corrupt import COLUMNS, RESOLUTION, TIME, VALUE, CorruptRecord
from schemas.limits import TIME_BOUND_MS
from schemas.records import NotADefinition, PartialBatch, SloGroup

NO_BYTE: Final = -1
KNOWN_GROUPS: Final = 65_536  # definitions that are remembered as read


class Soundness:
    """The check, for one number of source partitions. What it remembers only saves reading: it changes no answer."""

    def __init__(self, sources: int) -> None:
        self._sources = sources
        self._ids: dict[bytes, int] = {}  # of canonical SloGroups

    def check(self, batch: PartialBatch) -> None:
        """Raises CorruptRecord."""
        if not 0 <= batch.partition < self._sources:
            raise _refused(VALUE, f"source partition {batch.partition} of {self._sources}")
        if batch.as_of < -1:
            raise _refused(VALUE, f"true as of offset {batch.as_of}")
        for name, times in (("watermarks", batch.watermarks), ("max_event_ms", batch.max_event_ms)):
            if len(times) != SOURCE_KINDS:
                raise _refused(COLUMNS, f"{name} for {len(times)} kinds of source, and there are {SOURCE_KINDS}")
            _times(name, times)
        _times("now_ms", (batch.now_ms,))
        if batch.claims:
            _claims(batch.claims)
        if len(batch.cells):
            _rows(batch.cells, batch.as_of)
            self._groups(batch.cells)

    def _groups(self, cells: Cells) -> None:
        """Each row of an SLO group names the group of its definition."""
        for row in np.flatnonzero(cells.flags & FLAG_SLO).tolist():
            definition = cells.definition(row)
            known = self._ids.get(definition)
            if known is None:
                known = self._read(row, definition)
            if known != int(cells.series[row]):
                raise _refused(RESOLUTION, f"row {row} is of group {int(cells.series[row])}, its definition of {known}")

    def _read(self, row: int, definition: bytes) -> int:
        try:
            group = SloGroup.from_bytes(definition)
        except NotADefinition as error:
            raise _refused(RESOLUTION, f"the definition of row {row} is no SLO group") from error
        if len(self._ids) >= KNOWN_GROUPS:
            self._ids.clear()
        return self._ids.setdefault(definition, group.id)


def _refused(reason: str, detail: str) -> CorruptRecord:
    return CorruptRecord(reason, NO_BYTE, detail)


def _times(name: str, times: tuple[int, ...]) -> None:
    if not all(NEVER <= time_ms < TIME_BOUND_MS for time_ms in times):
        raise _refused(TIME, f"{name} {', '.join(map(str, times))}")


def _claims(flat: tuple[int, ...]) -> None:
    """Three numbers each, of panes that may be."""
    if len(flat) % claims.FIELDS:
        raise _refused(COLUMNS, f"{len(flat)} numbers of claims, which have {claims.FIELDS} each")
    for kind, pane_ms, _ in claims.read(flat):
        if not 0 <= kind < claims.KINDS:
            raise _refused(VALUE, f"a claim about kind {kind}")
        if not 0 <= pane_ms < TIME_BOUND_MS or pane_ms % PANE_MS:
            raise _refused(TIME, f"a claim about a pane at {pane_ms}")


def _rows(cells: Cells, as_of: int) -> None:
    """Columns of n > 0 rows; their lengths agree already."""
    if bool(np.any(np.diff(cells.definition_end, prepend=0) <= 0)):
        raise _refused(COLUMNS, "a row without a definition")
    low_ms, high_ms = int(cells.pane_ms.min()), int(cells.pane_ms.max())
    if low_ms < 0 or high_ms >= TIME_BOUND_MS or bool(np.any(cells.pane_ms % PANE_MS)):
        raise _refused(TIME, f"panes from {low_ms} to {high_ms}, of {PANE_MS} ms")
    if int(cells.offset.min()) < 0 or int(cells.offset.max()) > as_of:
        raise _refused(
            VALUE, f"rows as of {int(cells.offset.min())} to {int(cells.offset.max())} in a batch as of {as_of}"
        )
    if int(cells.count.min()) < 0 or (len(cells.hist_count) and int(cells.hist_count.min()) < 0):
        raise _refused(VALUE, "less than no measurements")
    if not all(bool(np.isfinite(column).all()) for column in (cells.low, cells.high, cells.exemplar_value)):
        raise _refused(VALUE, "not a number, or infinite")
