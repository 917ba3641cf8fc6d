"""Strict: one record read as a whole, or refused with the byte and the reason.

What: fastavro builds the values; the walker says whether the bytes deserve it. Where reader and writer are the same
schema, a record that encodes again to the same bytes needs no walk: that proves it whole, exactly consumed and free of
odd numbers. Why: fastavro alone ignores trailing bytes and takes negative indexes. It refuses to let any error of
fastavro out: they become CorruptRecord.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, TypeVar

import fastavro

from schemas.corrupt import RESOLUTION, TRAILING, CorruptRecord
from schemas.framing import Schema

Row: TypeAlias = dict[str, object]
Value = TypeVar("Value")

#: All that fastavro may raise on hostile bytes and on schemas that do not resolve; its own errors are ValueErrors.
READ_ERRORS: Final = (
    ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, AttributeError, RecursionError, MemoryError,
    AssertionError, fastavro.read.SchemaResolutionError,
)  # fmt: skip


class Refusal(Exception):
    """A value that may not be: field, reason, detail. Becomes a CorruptRecord where the field's byte is known"""

    def __init__(self, field: str, reason: str, detail: str) -> None:
        super().__init__(field, reason, detail)
        self.field = field
        self.reason = reason
        self.detail = detail


def read(writer: Schema, reader: Schema, data: bytes, at: int) -> Row:
    """The values of the record data[at:]. Raises CorruptRecord."""
    row: object = None
    if writer is reader:
        row = _same(writer, data, at)
        if row is not None:
            return row
    _, end = writer.walk.starts(data, at)
    if end != len(data):
        raise CorruptRecord(TRAILING, end, f"{len(data) - end} bytes follow the record")
    try:
        row = fastavro.schemaless_reader(io.BytesIO(data[at:]), writer.parsed, reader.parsed)
    except READ_ERRORS as error:
        raise CorruptRecord(RESOLUTION, at, f"{type(error).__name__}: {error}"[:200]) from error
    if not isinstance(row, dict):
        raise CorruptRecord(RESOLUTION, at, "not a record")
    return row


def _same(schema: Schema, data: bytes, at: int) -> Row | None:
    """The values, when the bytes are exactly what fastavro would write for them."""
    body = data[at:]
    out = io.BytesIO()
    try:
        row = fastavro.schemaless_reader(io.BytesIO(body), schema.parsed, None)
        fastavro.schemaless_writer(out, schema.parsed, row)
    except READ_ERRORS:
        return None
    return row if isinstance(row, dict) and out.getvalue() == body else None


def checked(writer: Schema, reader: Schema, data: bytes, at: int, values: Callable[[Row], Value]) -> Value:
    """What `values` makes of the record data[at:]; where it raises Refusal, the byte is that field's. Raises CorruptRecord."""
    row = read(writer, reader, data, at)
    try:
        return values(row)
    except Refusal as no:
        raise CorruptRecord(no.reason, _byte_of(writer, data, at, no.field), no.detail) from no


def _byte_of(writer: Schema, data: bytes, at: int, field: str) -> int:
    """First byte of a field of a record that was read; the record's own where the writer's schema has no such field."""
    return writer.walk.starts(data, at)[0].get(field, at)


def text(row: Mapping[str, object], field: str) -> str:
    """A string field; "" where it is none."""
    value = row.get(field)
    return value if isinstance(value, str) else ""


def whole(row: Mapping[str, object], field: str) -> int:
    """An int or long field; 0 where it is none."""
    value = row.get(field)
    return value if isinstance(value, int) else 0


def octets(row: Mapping[str, object], field: str) -> bytes:
    """A bytes field. fastavro answers with text where it filled in a default."""
    value = row.get(field)
    return value if isinstance(value, bytes) else str(value or "").encode("latin-1")


def mapping(row: Mapping[str, object], field: str) -> Row:
    """A record or map field; empty where it is none."""
    value = row.get(field)
    return value if isinstance(value, dict) else {}


def rows(row: Mapping[str, object], field: str) -> list[Row]:
    """An array of records; empty where it is none."""
    value = row.get(field)
    return value if isinstance(value, list) else []
