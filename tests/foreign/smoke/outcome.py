"""Outcome: the product's rollups in; min, max, dif, sum, cnt, avg of each key out, and how often each count occurs.

What: of each key and pane the row of the highest revision counts; panes add up to the driver's windows of one and two days,
and a key's newest window is its value, as Kafka Streams' unwindowed tables have it. How often each count occurs among this
partition's keys goes to the tally as of this partition's fence. It refuses to see anything but rollups: what it says of a
key is what any analyst would read.
"""

from __future__ import annotations

import json

import numpy as np

from rollups.limits import PANE_MS
from schemas import codec
from schemas.cells import Cells
from schemas.records import RollupBatch, SeriesDefinition
from streams.producer import Outgoing
from streams.records import Records
from tests.foreign.smoke.intake import METRIC
from tests.foreign.smoke.job import COUNTS, DAY, DOUBLE, INT, LONG

Row = tuple[int, int, int, int, int]  # (revision, count, sum, low, high)


class OutcomeStep:
    """See `streams.step.Step`."""

    urgent = False
    wants_snapshot = False

    def __init__(self, partition: int) -> None:
        self.partition, self.fence = partition, -1
        self._panes: dict[str, dict[int, Row]] = {}  # key -> start of a pane -> its newest row
        self._changed: set[str] = set()
        self._told_at = -1

    def apply(self, records: Records) -> None:
        for record in records.after(self.fence):
            batch = codec.decode(record.value) if record.value else None
            if isinstance(batch, RollupBatch) and batch.window_ms == PANE_MS:
                self._rows(batch.cells)
        self.fence = max(self.fence, int(records.offset[-1]))

    def _rows(self, cells: Cells) -> None:
        """Values of the driver are whole numbers, whose sums have no fraction."""
        if np.any(cells.sum_frac):
            raise ValueError("a sum of whole numbers has a fraction")
        for row in range(len(cells)):
            series = SeriesDefinition.from_bytes(cells.definition(row))
            if series.metric != METRIC:
                continue
            key, start = series.labels["key"], int(cells.pane_ms[row])
            columns = (cells.revision, cells.count, cells.sum_whole, cells.low, cells.high)
            revision, count, total, low, high = (int(column[row]) for column in columns)
            panes = self._panes.setdefault(key, {})
            if start not in panes or revision >= panes[start][0]:
                panes[start] = (revision, count, total, low, high)
                self._changed.add(key)

    def _newest(self, key: str, length_ms: int) -> list[Row]:
        """Panes of a key's newest window of that length."""
        panes = self._panes[key]
        newest = max(panes) // length_ms
        return [row for start, row in panes.items() if start // length_ms == newest]

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Time is in the rollups."""

    def drain(self) -> list[Outgoing]:
        """The values of each key that changed."""
        out = [result for key in sorted(self._changed) for result in self._results(key)]
        if self._changed or self._told_at < 0:
            out.append(self._counts())
        self._changed.clear()
        self._told_at = self.fence
        return out

    def _results(self, key: str) -> list[Outgoing]:
        day, days = self._newest(key, DAY), self._newest(key, 2 * DAY)
        least, most = min(row[3] for row in day), max(row[4] for row in days)
        count, total = sum(row[1] for row in days), sum(row[2] for row in days)
        values = {
            "min": INT.pack(least),
            "max": INT.pack(most),
            "dif": INT.pack(most - least),
            "sum": LONG.pack(total),
            "cnt": LONG.pack(count),
            "avg": DOUBLE.pack(total / count),
        }
        return [Outgoing(topic, key.encode(), value, self.partition) for topic, value in values.items()]

    def _counts(self) -> Outgoing:
        """As of the fence: the truth about this partition, whoever sends it and how often."""
        found: dict[int, int] = {}
        for key in self._panes:
            count = sum(row[1] for row in self._newest(key, 2 * DAY))
            found[count] = found.get(count, 0) + 1
        value = {"as_of": self.fence, "counts": sorted(found.items())}
        return Outgoing(COUNTS, b"%d" % self.partition, json.dumps(value).encode(), 0)

    def settled(self) -> None:
        """Nothing waits for it."""

    def snapshot(self) -> bytes:
        panes = {key: list(found.items()) for key, found in self._panes.items()}
        return json.dumps({"fence": self.fence, "panes": panes}).encode()

    def restore(self, data: bytes) -> None:
        state = json.loads(data)
        self.fence = state["fence"]
        self._panes = {key: {at: tuple(row) for at, row in found} for key, found in state["panes"].items()}

    def close(self) -> None:
        """Nothing to let go of."""
