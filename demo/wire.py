"""Wire: the demo's own reader of what the client sends; written from the contract, sharing no code with the product.

What: bytes of one TelemetryBatch record, or of a series definition, to plain values. Why: an oracle that decodes with
the code under check would agree with its mistakes. It refuses anything that is not exactly one record.
"""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

KINDS: Final = ("counter", "gauge", "histogram", "outcome")
SOURCE_KINDS: Final = ("web", "desktop", "vehicle", "other")

#: metric, kind, unit, kind of source, labels sorted by key
Identity = tuple[str, str, str, str, tuple[tuple[str, str], ...]]


class NotARecord(ValueError):
    """These bytes are not one record of the expected kind"""

    def __init__(self, why: str) -> None:
        super().__init__(f"{type(self).__doc__}: {why}")


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """One TelemetryBatch: n rows as columns, and the identity of each series in its table."""

    source: str
    boot: str
    sequence: int
    source_kind: str
    identities: list[Identity]
    series: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    outcome: NDArray[np.uint8]  # 0 bad, 1 good, 2 none
    event_id: NDArray[np.uint64]


class Reader:
    """Avro's binary encoding, read from the front."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def long(self) -> int:
        """A zigzag varint."""
        value = shift = 0
        while True:
            if self.at >= len(self.data) or shift > 63:
                raise NotARecord(f"no number at byte {self.at}")
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)

    def bytes(self) -> bytes:
        """A length and so many bytes."""
        size = self.long()
        if size < 0 or self.at + size > len(self.data):
            raise NotARecord(f"a length of {size} at byte {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def string(self) -> str:
        """UTF-8 text."""
        try:
            return self.bytes().decode()
        except UnicodeDecodeError as error:
            raise NotARecord(f"no UTF-8 before byte {self.at}") from error

    def blocks(self) -> int:
        """Items in the next block of an array or map; 0 at the end."""
        count = self.long()
        if count < 0:
            self.long()
            return -count
        return count

    def labels(self) -> dict[str, str]:
        """A map of text."""
        found: dict[str, str] = {}
        while count := self.blocks():
            for _ in range(count):
                key = self.string()
                found[key] = self.string()
        return found

    def name(self, names: tuple[str, ...]) -> str:
        """An enum, by the order of its symbols."""
        index = self.long()
        if not 0 <= index < len(names):
            raise NotARecord(f"symbol {index} of {names}")
        return names[index]


def body(value: bytes) -> int:
    """Where the record begins behind its framing (single-object or Confluent)."""
    if value[:2] == b"\xc3\x01" and len(value) > 10:
        return 10
    if value[:1] == b"\x00" and len(value) > 5:
        return 5
    raise NotARecord(f"unknown framing {value[:2].hex()}")


def read_batch(value: bytes) -> Batch:
    """One framed TelemetryBatch. Raises NotARecord."""
    reader = Reader(value, body(value))
    source, boot, sequence, base = reader.string(), reader.string(), reader.long(), reader.long()
    for _ in range(4):  # clock pairs
        reader.long()
    index, delta, values, outcomes = (reader.bytes() for _ in range(4))
    while count := reader.blocks():
        for _ in range(count):
            reader.long()
            reader.bytes()
    reader.long()  # crc32
    resource = dict(
        zip(("service", "version", "environment", "region"), (reader.string() for _ in range(4)), strict=True)
    )
    source_kind = reader.name(SOURCE_KINDS)
    reader.labels()  # attributes: not part of an identity
    identities: list[Identity] = []
    while count := reader.blocks():
        for _ in range(count):
            metric, kind, unit = reader.string(), reader.name(KINDS), reader.string()
            merged = {**{key: text for key, text in resource.items() if text}, **reader.labels()}
            identities.append((metric, kind, unit, source_kind, tuple(sorted(merged.items()))))
    if reader.at != len(value):
        raise NotARecord(f"{len(value) - reader.at} bytes follow the record")
    series = np.frombuffer(index, "<u4").astype(np.int64)
    rows = len(series)
    return Batch(
        source, boot, sequence, source_kind, identities, series,
        base + np.frombuffer(delta, "<u4").astype(np.int64),
        np.frombuffer(values, "<f8"),
        np.frombuffer(outcomes, "u1") if outcomes else np.full(rows, 2, np.uint8),
        event_ids(source, boot, sequence, rows),
    )  # fmt: skip


def event_ids(source: str, boot: str, sequence: int, rows: int) -> NDArray[np.uint64]:
    """One id a measurement: splitmix64's finaliser over (producer, sequence, row), shape (rows,)."""
    producer = struct.unpack("<Q", hashlib.blake2b(f"{source}\0{boot}".encode(), digest_size=8).digest())[0]
    start = (producer + sequence * 0x9E3779B97F4A7C15) % 2**64
    with np.errstate(over="ignore"):
        value = np.uint64(start) + np.arange(rows, dtype=np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)), np.uint64)


def read_definition(canonical: bytes) -> Identity:
    """A canonical series definition. Raises NotARecord."""
    reader = Reader(canonical)
    metric, kind, unit = reader.string(), reader.name(KINDS), reader.string()
    source_kind = reader.name(SOURCE_KINDS)
    labels = tuple(sorted(reader.labels().items()))
    if reader.at != len(canonical):
        raise NotARecord("bytes follow the definition")
    return metric, kind, unit, source_kind, labels
