"""Measurements: what a chunk of the `telemetry` topic says, as columns.

What: one row a measurement, and one entry for each record that held them; rows name their record. Why: everything
after the decoder is array arithmetic, and what is the same for all rows of a record is held once a record. It refuses
to judge: no dedupe, no windows, no lateness.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

OUTCOME_BAD, OUTCOME_GOOD, OUTCOME_NONE = 0, 1, 2

SEQUENCE_STEP = np.uint64(0x9E3779B97F4A7C15)
ROW_STEP = np.uint64(0xC2B2AE3D27D4EB4F)


def mix64(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, elementwise (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators)."""
    out = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    out = (out ^ (out >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(out ^ (out >> np.uint64(31)), np.uint64)


def no_stamps() -> NDArray[np.int64]:
    """(4, 0) the stamps of no record."""
    return np.zeros((4, 0), np.int64)


@dataclasses.dataclass(slots=True)
class Measurements:
    """n measurements out of r records, both in the order of the log; refused records are in neither.

    Rows of one record are neighbours, so `row_record` never falls. A record may hold no rows.
    """

    series: NDArray[np.int64]  # (n,) what `resolve` answered for the row's series
    time_ms: NDArray[np.int64]  # (n,) event time, ms since epoch
    value: NDArray[np.float64]  # (n,) finite, |value| < 2**43
    outcome: NDArray[np.uint8]  # (n,) 0 bad, 1 good, 2 none
    row_record: NDArray[np.int64]  # (n,) index into the record columns
    record_offset: NDArray[np.int64]  # (r,) Kafka offset
    record_append_ms: NDArray[np.int64]  # (r,) Kafka timestamp: when the broker appended the record
    record_producer: NDArray[np.uint64]  # (r,) short_hash(source NUL boot)
    record_sequence: NDArray[np.int64]  # (r,) the producer's number of the record; < 0: not deduplicated
    record_rows: NDArray[np.int64]  # (r,) measurements in the record
    exemplar_row: NDArray[np.int64]  # (k,) row of each exemplar, rising
    exemplar_trace: NDArray[np.void]  # (k,) V16: trace ids
    stamped: NDArray[np.int64]  # (s,) records that tell of their source's clocks, rising
    stamps: NDArray[np.int64]  # (4, s) what these said, see `schemas.stamps`

    def __len__(self) -> int:
        return len(self.series)

    @property
    def records(self) -> int:
        """How many records the rows came from."""
        return len(self.record_offset)

    @classmethod
    def empty(cls) -> Measurements:
        """No rows of no records."""
        whole = np.zeros(0, np.int64)
        return cls(
            series=whole, time_ms=whole, value=np.zeros(0, np.float64), outcome=np.zeros(0, np.uint8),
            row_record=whole, record_offset=whole, record_append_ms=whole, record_producer=np.zeros(0, np.uint64),
            record_sequence=whole, record_rows=whole, exemplar_row=whole, exemplar_trace=np.zeros(0, "V16"),
            stamped=whole, stamps=no_stamps(),
        )  # fmt: skip

    def offset(self) -> NDArray[np.int64]:
        """(n,) Kafka offset of each row."""
        return self.record_offset[self.row_record]

    def append_ms(self) -> NDArray[np.int64]:
        """(n,) when the broker appended each row's record."""
        return self.record_append_ms[self.row_record]

    def row_within(self) -> NDArray[np.int64]:
        """(n,) number of each row within its record."""
        first = np.cumsum(self.record_rows) - self.record_rows
        return np.arange(len(self), dtype=np.int64) - first[self.row_record]

    def event_id(self) -> NDArray[np.uint64]:
        """(n,) identity of each measurement: mix64(producer + sequence * SEQUENCE_STEP + row * ROW_STEP) mod 2**64."""
        base = self.record_producer + self.record_sequence.astype(np.uint64) * SEQUENCE_STEP
        return mix64(base[self.row_record] + self.row_within().astype(np.uint64) * ROW_STEP)

    def keep(self, records: NDArray[np.bool_]) -> Measurements:
        """Only the records where `records` (shape (r,)) is true, with their rows and exemplars."""
        if bool(records.all()):
            return self
        rows = records[self.row_record]
        place = np.cumsum(records) - 1
        row_place = np.cumsum(rows) - 1
        marked = rows[self.exemplar_row]
        told = records[self.stamped]
        return Measurements(
            series=self.series[rows],
            time_ms=self.time_ms[rows],
            value=self.value[rows],
            outcome=self.outcome[rows],
            row_record=place[self.row_record[rows]],
            record_offset=self.record_offset[records],
            record_append_ms=self.record_append_ms[records],
            record_producer=self.record_producer[records],
            record_sequence=self.record_sequence[records],
            record_rows=self.record_rows[records],
            exemplar_row=row_place[self.exemplar_row[marked]],
            exemplar_trace=self.exemplar_trace[marked],
            stamped=place[self.stamped[told]],
            stamps=self.stamps[:, told],
        )
