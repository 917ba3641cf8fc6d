"""CorruptRecord: bytes that are not the record they claim to be, with the byte and the reason.

What: the one error of this room's readers and the words for its reasons. Why: a refused record is kept with its
reason, and people look at the byte. It refuses prose as a reason: a reason is one of the words below, so it can be a
metric's label; the detail is for people.
"""

from __future__ import annotations

from typing import Final

FRAMING: Final = "framing"  # neither single-object encoding nor Confluent's prefix
UNKNOWN_SCHEMA: Final = "unknown_schema"  # no schema for the fingerprint or id, or not the schema of this topic
TRUNCATED: Final = "truncated"  # the record ends inside a field
VARINT: Final = "varint"  # a number longer than its type
LENGTH: Final = "length"  # a negative length or count, or one beyond the end of the record
UTF8: Final = "utf8"  # text that is not UTF-8
SYMBOL: Final = "symbol"  # an enum, union or boolean index that does not exist
DEPTH: Final = "depth"  # nested more than limits.SCHEMA_DEPTH
TRAILING: Final = "trailing"  # bytes after the record
SIZE: Final = "size"  # a limit of schemas.limits
RESOLUTION: Final = "resolution"  # a valid record that the reader's schema cannot take
VALUE: Final = "value"  # NaN, infinite, or too large
TIME: Final = "time"  # event time outside [0, TIME_BOUND_MS)
OUTCOME: Final = "outcome"  # not 0, 1 or 2
TRACE: Final = "trace_id"  # neither 0 nor 16 bytes, or a span id neither 0 nor 8
SEVERITY: Final = "severity"  # not 0 to 24
METRIC: Final = "metric"  # a series without a name
COLUMNS: Final = "columns"  # columns of different lengths
SERIES_INDEX: Final = "series_index"  # a place beyond the series table
EXEMPLAR: Final = "exemplar"  # a row that is not in the columns
CRC: Final = "crc"
SOURCE: Final = "source"  # it names no source, or two

REASONS: Final = (
    FRAMING, UNKNOWN_SCHEMA, TRUNCATED, VARINT, LENGTH, UTF8, SYMBOL, DEPTH, TRAILING, SIZE, RESOLUTION, VALUE, TIME,
    OUTCOME, TRACE, SEVERITY, METRIC, COLUMNS, SERIES_INDEX, EXEMPLAR, CRC, SOURCE,
)  # fmt: skip


class CorruptRecord(ValueError):
    """These bytes cannot be read as the record they claim to be"""

    def __init__(self, reason: str, byte: int, detail: str) -> None:
        super().__init__(f"{type(self).__doc__}: {reason} at byte {byte}: {detail}")
        self.reason = reason
        self.byte = byte
        self.detail = detail
