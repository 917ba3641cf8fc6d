"""Walk: a strict look at Avro bytes by their writer's schema, before or after anything else trusts them.

What: a schema compiled to a walker that goes from the first byte of a record to its end, or names the byte where it
is wrong and why. Why: fast readers stop at the first odd thing, or do not stop; whoever keeps a refused record wants
the byte. It refuses what the Avro 1.12 binary encoding refuses, and more: numbers longer than their type, counts that
the remaining bytes cannot hold, block sizes that lie, text that is not UTF-8, deep nesting. It builds no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from schemas.corrupt import DEPTH, LENGTH, SYMBOL, TRUNCATED, UTF8, VARINT, CorruptRecord
from schemas.limits import SCHEMA_DEPTH

#: JSON of an Avro schema.
Definition: TypeAlias = "str | list[Definition] | dict[str, object]"

#: (data, first byte, depth) -> byte after the value. Raises CorruptRecord.
Walker: TypeAlias = Callable[[bytes, int, int], int]

INT_BITS, LONG_BITS = 32, 64


class NotASchema(ValueError):
    """This is not an Avro schema that can be walked"""

    def __init__(self, what: object) -> None:
        super().__init__(f"{type(self).__doc__}: {str(what)[:200]}")


def number(value: int) -> bytes:
    """An Avro int or long, as `read_long` reads it."""
    word = (value << 1) ^ (value >> 63)
    out = bytearray()
    while word > 0x7F:
        out.append(word & 0x7F | 0x80)
        word >>= 7
    out.append(word)
    return bytes(out)


def read_long(data: bytes, at: int, bits: int = LONG_BITS) -> tuple[int, int]:
    """(value, byte after it) of a zigzag number that fits into `bits`. Raises CorruptRecord."""
    value = shift = 0
    first = at
    while True:
        if at >= len(data):
            raise CorruptRecord(TRUNCATED, first, "the record ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift >= 70:
            raise CorruptRecord(VARINT, first, "a number of more than ten bytes")
    if value >> bits:
        raise CorruptRecord(VARINT, first, f"a number that does not fit into {bits} bits")
    return (value >> 1) ^ -(value & 1), at


def walk_int(data: bytes, at: int, depth: int) -> int:
    """An `int`."""
    return read_long(data, at, INT_BITS)[1]


def walk_long(data: bytes, at: int, depth: int) -> int:
    """A `long`."""
    return read_long(data, at)[1]


def walk_bytes(data: bytes, at: int, depth: int) -> int:
    """`bytes`: a length and so many bytes."""
    size, start = read_long(data, at)
    if size < 0:
        raise CorruptRecord(LENGTH, at, f"a length of {size}")
    if start + size > len(data):
        raise CorruptRecord(LENGTH, at, f"a length of {size} where {len(data) - start} bytes are left")
    return start + size


def walk_string(data: bytes, at: int, depth: int) -> int:
    """A `string`: bytes that are UTF-8."""
    end = walk_bytes(data, at, depth)
    start = read_long(data, at)[1]
    try:
        data[start:end].decode()
    except UnicodeDecodeError as error:
        raise CorruptRecord(UTF8, start + error.start, error.reason) from error
    return end


def walk_boolean(data: bytes, at: int, depth: int) -> int:
    """A `boolean`: one byte, 0 or 1."""
    if at >= len(data):
        raise CorruptRecord(TRUNCATED, at, "the record ends before a boolean")
    if data[at] > 1:
        raise CorruptRecord(SYMBOL, at, f"a boolean of {data[at]}")
    return at + 1


def walk_null(data: bytes, at: int, depth: int) -> int:
    """A `null`: no bytes."""
    return at


def fixed(size: int) -> Walker:
    """Walker of `float`, `double` and `fixed`."""

    def walk(data: bytes, at: int, depth: int) -> int:
        if at + size > len(data):
            raise CorruptRecord(TRUNCATED, at, f"{size} bytes expected where {len(data) - at} are left")
        return at + size

    return walk


def enum(symbols: int) -> Walker:
    """Walker of an enum with so many symbols."""

    def walk(data: bytes, at: int, depth: int) -> int:
        index, end = read_long(data, at, INT_BITS)
        if not 0 <= index < symbols:
            raise CorruptRecord(SYMBOL, at, f"symbol {index} of {symbols}")
        return end

    return walk


def union(branches: list[Walker]) -> Walker:
    """Walker of a union."""

    def walk(data: bytes, at: int, depth: int) -> int:
        index, start = read_long(data, at)
        if not 0 <= index < len(branches):
            raise CorruptRecord(SYMBOL, at, f"branch {index} of {len(branches)}")
        return branches[index](data, start, depth)

    return walk


def blocks(item: Walker) -> Walker:
    """Walker of an array or map: blocks of items until an empty one."""

    def walk(data: bytes, at: int, depth: int) -> int:
        while True:
            first = at
            count, at = read_long(data, at)
            size = -1
            if count < 0:
                count = -count
                size, at = read_long(data, at)
                if size < 0:
                    raise CorruptRecord(LENGTH, first, f"a block of {size} bytes")
            if count == 0:
                return at
            if count > len(data) - at:
                raise CorruptRecord(LENGTH, first, f"{count} items where {len(data) - at} bytes are left")
            start = at
            for _ in range(count):
                at = item(data, at, depth)
            if size >= 0 and at - start != size:
                raise CorruptRecord(LENGTH, first, f"a block of {at - start} bytes that says {size}")

    return walk


def pair(value: Walker) -> Walker:
    """Walker of one entry of a map."""

    def walk(data: bytes, at: int, depth: int) -> int:
        return value(data, walk_string(data, at, depth), depth)

    return walk


class Record:
    """Walker of a record; `starts` also answers where each field begins."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, Walker]] = []

    def __call__(self, data: bytes, at: int, depth: int) -> int:
        """Byte after the record. Raises CorruptRecord."""
        if depth >= SCHEMA_DEPTH:
            raise CorruptRecord(DEPTH, at, f"more than {SCHEMA_DEPTH} records inside one another")
        for _, walk in self.fields:
            at = walk(data, at, depth + 1)
        return at

    def starts(self, data: bytes, at: int) -> tuple[dict[str, int], int]:
        """({field: its first byte}, byte after the record). Raises CorruptRecord."""
        found: dict[str, int] = {}
        for name, walk in self.fields:
            found[name] = at
            at = walk(data, at, 1)
        return found, at


PRIMITIVES: Mapping[str, Walker] = {
    "null": walk_null, "boolean": walk_boolean, "int": walk_int, "long": walk_long, "float": fixed(4),
    "double": fixed(8), "bytes": walk_bytes, "string": walk_string,
}  # fmt: skip


class _Compiler:
    """Knows the names that a schema has defined so far."""

    def __init__(self) -> None:
        self.named: dict[str, Walker] = {}

    def compile(self, definition: object, namespace: str) -> Walker:
        if isinstance(definition, str):
            return self._named(definition, namespace)
        if isinstance(definition, list):
            return union([self.compile(branch, namespace) for branch in definition])
        if not isinstance(definition, dict):
            raise NotASchema(definition)
        kind = definition.get("type")
        if kind == "array":
            return blocks(self.compile(definition.get("items"), namespace))
        if kind == "map":
            return blocks(pair(self.compile(definition.get("values"), namespace)))
        if kind in ("record", "enum", "fixed", "error"):
            return self._define(definition, str(kind), namespace)
        return self.compile(kind, namespace)

    def _named(self, name: str, namespace: str) -> Walker:
        for candidate in (name, f"{namespace}.{name}"):
            if candidate in PRIMITIVES:
                return PRIMITIVES[candidate]
            if candidate in self.named:
                return self.named[candidate]
        raise NotASchema(name)

    def _define(self, definition: Mapping[str, object], kind: str, namespace: str) -> Walker:
        name = str(definition.get("name", ""))
        namespace = name.rpartition(".")[0] or str(definition.get("namespace", namespace))
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        if kind == "enum":
            symbols = definition.get("symbols")
            self.named[full] = enum(len(symbols) if isinstance(symbols, list) else 0)
        elif kind == "fixed":
            size = definition.get("size")
            self.named[full] = fixed(size if isinstance(size, int) else 0)
        else:
            record = Record()
            self.named[full] = record
            fields = definition.get("fields")
            if not isinstance(fields, list):
                raise NotASchema(definition)
            for field in fields:
                record.fields.append((str(field["name"]), self.compile(field["type"], namespace)))
        return self.named[full]


def walker(definition: Definition) -> Record:
    """The walker of a record's schema. Raises NotASchema."""
    compiled = _Compiler().compile(definition, "")
    if not isinstance(compiled, Record):
        raise NotASchema(definition)
    return compiled
