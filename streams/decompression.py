"""Bounded decompression of fetched batches: a batch does not unfold beyond a limit.

What: one decoder a codec that unfolds into a bounded buffer. Why: aiokafka's unfold a batch whole, whatever its size, so
one hostile producer could end every worker. As a gain, one buffer for all batches unfolds twice as fast. It refuses
what unfolds beyond the limit or beyond a ratio that no honest data reaches: BatchTooLarge.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cramjam
from aiokafka import codec

from schemas.chunk import PADDING
from streams.limits import FIRST_BUFFER_BYTES, FREE_UNFOLD_BYTES, MAX_UNFOLD_RATIO
from streams.recordbatch import Decoders

_TOO_SMALL = "failed to write whole buffer"
_XERIAL_HEADER = 16
_MAX_VARINT_BITS = 35
_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4  # Kafka's numbers


class BatchTooLarge(ValueError):
    """A fetched batch unfolds beyond its limit."""


class _Scratch(threading.local):
    """One growing buffer for each thread."""

    def __init__(self) -> None:
        self.buffer = bytearray(FIRST_BUFFER_BYTES)


_scratch = _Scratch()


def allowed(size: int, limit: int) -> int:
    """Bytes that a batch of `size` compressed bytes may unfold to."""
    return min(limit, max(FREE_UNFOLD_BYTES, size * MAX_UNFOLD_RATIO))


def bounded(unfold: Callable[[Any, Any], int], limit: int) -> Callable[[Any], bytes]:
    """A decoder that never holds more than `limit` bytes, PADDING aside. `unfold(source, target)`: the bytes written."""

    def decode(payload: Any) -> bytes:
        most = allowed(len(payload), limit)
        while True:
            whole = _scratch.buffer
            target = memoryview(whole)[:most]
            try:
                size = unfold(payload, target)
                return b"".join([target[:size], PADDING])
            except cramjam.DecompressionError as error:
                if _TOO_SMALL not in str(error):
                    raise
                if len(target) >= most:
                    raise BatchTooLarge(f"{len(payload)} bytes unfold beyond {most}") from None
                _scratch.buffer = bytearray(min(len(whole) * 4, limit))

    return decode


def bounded_snappy(limit: int) -> Callable[[Any], bytes]:
    """Snappy declares its size, in each block of a xerial stream too; the sum is checked before anything unfolds."""

    def decode(payload: Any) -> bytes:
        data = bytes(payload)
        declared, most = _declared(data), allowed(len(data), limit)
        if declared > most:
            raise BatchTooLarge(f"{len(data)} bytes declare {declared}, the limit is {most}")
        return b"".join([codec.snappy_decode(data), PADDING])

    return decode


def _declared(data: bytes) -> int:
    if not codec._detect_xerial_stream(data):  # noqa: SLF001  # aiokafka's own question
        return _uvarint(data, 0)
    total, at = 0, _XERIAL_HEADER
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        total += _uvarint(data, at + 4)
        at += 4 + size
    return total


def _uvarint(data: bytes, at: int) -> int:
    value = 0
    for shift in range(0, _MAX_VARINT_BITS, 7):
        if at >= len(data):
            break
        value |= (data[at] & 0x7F) << shift
        if data[at] < 0x80:
            break
        at += 1
    return value


def decoders(limit: int) -> Decoders:
    """A bounded decoder for each of Kafka's codecs. `limit`: bytes of one unfolded batch."""
    return {
        _GZIP: bounded(cramjam.gzip.decompress_into, limit),
        _SNAPPY: bounded_snappy(limit),
        _LZ4: bounded(cramjam.lz4.decompress_into, limit),
        _ZSTD: bounded(cramjam.zstd.decompress_into, limit),
    }
