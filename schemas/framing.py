"""Framing: which schema wrote these bytes.

What: Avro's single-object encoding (C3 01, CRC-64-AVRO fingerprint little-endian) and Confluent's prefix (00, schema
id as u32 big-endian), written and read; and the schemas behind them, kept by fingerprint and id. Why: readers accept
both, so a registry may come or go without a flag day. It refuses to open a socket: a registry is a function that is
handed in.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

import fastavro
from fastavro.schema import fingerprint as fingerprint_of
from fastavro.schema import to_parsing_canonical_form

from schemas.corrupt import FRAMING, UNKNOWN_SCHEMA, CorruptRecord
from schemas.limits import KNOWN_SCHEMAS
from schemas.walk import NotASchema, Record, walker

SINGLE_OBJECT_MARK: Final = b"\xc3\x01"
SINGLE_OBJECT_HEADER_BYTES: Final = 10
CONFLUENT_MARK: Final = b"\x00"
CONFLUENT_HEADER_BYTES: Final = 5
MAX_SCHEMA_ID: Final = 2**32 - 1

#: Schema text of an id; None when the registry says that there is none. An outage must be an exception.
Lookup: TypeAlias = Callable[[int], str | None]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """One Avro record schema, ready for use."""

    name: str  # without the namespace
    definition: dict[str, object]  # as written
    parsed: dict[str, object]  # for fastavro
    fingerprint: bytes  # 8 bytes of CRC-64-AVRO, in header order
    walk: Record

    @classmethod
    def of(cls, text: str) -> Schema:
        """From JSON. Raises NotASchema."""
        try:
            definition = json.loads(text)
            parsed = fastavro.parse_schema(definition)
            mark = bytes.fromhex(fingerprint_of(to_parsing_canonical_form(definition), "CRC-64-AVRO"))
            walk = walker(definition)
        except (ValueError, KeyError, TypeError, RecursionError, fastavro.schema.SchemaParseException) as error:
            raise NotASchema(text) from error
        if not isinstance(parsed, dict) or not isinstance(definition, dict):
            raise NotASchema(text)
        name = str(parsed["name"]).rpartition(".")[2]
        return cls(name, definition, parsed, mark, walk)


def single_object(schema: Schema) -> bytes:
    """The header of single-object encoding."""
    return SINGLE_OBJECT_MARK + schema.fingerprint


def confluent(schema_id: int) -> bytes:
    """Confluent's prefix."""
    if not 0 <= schema_id <= MAX_SCHEMA_ID:
        raise ValueError(f"a schema id of {schema_id} does not fit into 32 bits")
    return CONFLUENT_MARK + struct.pack(">I", schema_id)


class WriterSchemas:
    """Schemas by fingerprint and by registry id. What an id means never changes, so what the registry said is kept."""

    def __init__(self, own: list[Schema], lookup: Lookup | None = None) -> None:
        self._own = {schema.fingerprint: schema for schema in own}
        self._by_id: dict[int, Schema] = {}
        self._lookup = lookup
        self._absent: set[int] = set()

    def ask_again(self) -> None:
        """Ids that the registry did not have may exist by now; until this is called they are not looked up again."""
        self._absent.clear()

    def by_fingerprint(self, mark: bytes) -> Schema | None:
        """The bundled schema with this fingerprint, or one that was read through an id."""
        found = self._own.get(mark)
        if found is None:
            found = next((schema for schema in self._by_id.values() if schema.fingerprint == mark), None)
        return found

    def by_id(self, schema_id: int) -> Schema | None:
        """The schema with this id; a bundled one where they are the same. Lets the lookup's errors pass."""
        known = self._by_id.get(schema_id)
        if known is not None or self._lookup is None or schema_id in self._absent:
            return known
        text = self._lookup(schema_id)
        try:
            schema = Schema.of(text or "")
        except NotASchema:
            self._absent.add(schema_id)
            return None
        if len(self._by_id) >= KNOWN_SCHEMAS:
            self._by_id.clear()
        self._by_id[schema_id] = self._own.get(schema.fingerprint, schema)
        return self._by_id[schema_id]

    def of(self, data: bytes) -> tuple[Schema, int]:
        """(writer's schema, first byte of the record) of framed bytes. Raises CorruptRecord."""
        if data[:2] == SINGLE_OBJECT_MARK and len(data) >= SINGLE_OBJECT_HEADER_BYTES:
            mark = data[2:SINGLE_OBJECT_HEADER_BYTES]
            schema = self.by_fingerprint(mark)
            if schema is None:
                raise CorruptRecord(UNKNOWN_SCHEMA, 2, f"no schema has the fingerprint {mark.hex()}")
            return schema, SINGLE_OBJECT_HEADER_BYTES
        if data[:1] == CONFLUENT_MARK and len(data) >= CONFLUENT_HEADER_BYTES:
            schema_id = int.from_bytes(data[1:CONFLUENT_HEADER_BYTES], "big")
            schema = self.by_id(schema_id)
            if schema is None:
                raise CorruptRecord(UNKNOWN_SCHEMA, 1, f"no schema has the id {schema_id}")
            return schema, CONFLUENT_HEADER_BYTES
        raise CorruptRecord(FRAMING, 0, f"framing {data[:2].hex() or 'of no bytes'} is not known")
