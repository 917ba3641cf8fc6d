"""A bomb is what it claims: small, well formed, and a gigabyte to whoever unfolds it; by readers that share no code with it."""

from __future__ import annotations

import time
import zlib

import cramjam
import pytest
from aiokafka.record.util import decode_varint

from proof import bombs
from streams.decompression import BatchTooLarge, decoders
from streams.recordbatch import Batch, Batches

LIMIT = 64 << 20
MESSAGE_BYTES = 8 << 20


@pytest.mark.parametrize("size", [bombs.GIGABYTE, bombs.SNAPPY_BLOCK * bombs.SNAPPY_BLOCKS, 5_000, 64])
def test_a_record_is_as_long_as_it_says(size: int) -> None:
    head = bytearray(bombs.head(size))
    length, at = decode_varint(head, 0)
    assert at + length == size
    assert head[at : at + 3] == b"\0\0\0"
    key, at = decode_varint(head, at + 3)
    value, at = decode_varint(head, at)
    assert (key, at) == (-1, len(head))
    assert at + value + 1 == size  # and no headers


def unfolded(codec: str, payload: bytes) -> int:
    """How long it is, a piece at a time."""
    if codec == "gzip":
        inflate, size = zlib.decompressobj(31), 0
        while payload:
            size += len(inflate.decompress(payload, 16 << 20))
            payload = inflate.unconsumed_tail
        assert inflate.eof
        return size
    if codec == "snappy":
        size, at = 0, 16
        while at < len(payload):
            length = int.from_bytes(payload[at : at + 4], "big")
            size += len(cramjam.snappy.decompress_raw(payload[at + 4 : at + 4 + length]))
            at += 4 + length
        return size
    return int(getattr(cramjam, codec).decompress_into(payload, cramjam.File("/dev/null")))


@pytest.mark.parametrize("codec", bombs.MADE)
def test_a_bomb_unfolds_to_its_whole_size_and_our_decoder_refuses_it_before(codec: str) -> None:
    number, made = bombs.MADE[codec]
    payload = made()
    raw = bombs.batch(number, payload, 1_000)
    assert len(raw) < MESSAGE_BYTES
    assert unfolded(codec, payload) == (160 << 20 if codec == "snappy" else 1 << 30)
    batches = Batches(raw)
    assert batches.has_next()
    found: Batch = batches.next_batch()
    assert not batches.has_next()
    assert found.validate_crc()
    begun = time.process_time()
    with pytest.raises(BatchTooLarge, match=r"unfold beyond|declare"):
        found.records(decoders(LIMIT))
    assert time.process_time() - begun < 2.0
