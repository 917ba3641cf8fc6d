"""Bombs: record batches of one record that unfold to a gigabyte, made by hand, and put into the log as a producer would.

What: the bytes of a batch for each codec, from Kafka's and the codecs' own formats, and the request that appends them. Why:
a producer compresses what it has, and has no gigabyte to spare; whoever means harm repeats the compressed block instead.
It refuses to unfold anything: no piece of what is made here is larger than a block.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping

import cramjam
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c, encode_varint
from aiokafka.structs import TopicPartition

from streams.topics import TELEMETRY

BLOCK = 4 << 20  # the largest of an lz4 frame
BLOCKS = 256
GIGABYTE = BLOCK * BLOCKS
SNAPPY_BLOCK, SNAPPY_BLOCKS = 1 << 20, 160  # its format shrinks 21 times at most, and brokers take 8 MiB
ZSTD_BLOCK = 128 << 10
ANSWER_S = 60.0
#: Offset, length, leader epoch, magic; what the checksum is of: attributes, last offset delta, times, producer, count.
_HEAD, _REST = struct.Struct(">qiibI"), struct.Struct(">hiqqqhii")
_LZ4_HEAD, _LZ4_END = bytes.fromhex("04224d18607073"), bytes(4)  # blocks of 4 MiB, each by itself, no checksums
_ZSTD_HEAD = bytes.fromhex("28b52ffd0058")  # a window of 2 MiB, no size and no checksum
_XERIAL_HEAD = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)


class NotTaken(RuntimeError):
    """The broker does not take a batch that was made by hand"""


def head(size: int) -> bytes:
    """The beginning of a record of that size, its length included; all that follows is zeros."""
    for length in range(size, size - 10, -1):  # of the body: what the length itself takes is less
        for value in range(length, length - 12, -1):
            body = b"\0\0\0\1" + varint(value)  # attributes, time, offset, no key
            if len(varint(length)) + length == size and len(body) + value + 1 == length:
                return varint(length) + body
    raise ValueError(f"no record has {size} bytes")


def varint(value: int) -> bytes:
    """As records have it."""
    found = bytearray()
    encode_varint(value, found.append)
    return bytes(found)


def blocks(block: int, count: int) -> Iterator[bytes]:
    """A record of so many blocks, block by block."""
    begin = head(block * count)
    yield begin + bytes(block - len(begin))
    yield from itertools.repeat(bytes(block), count - 1)


def _first_and_rest(found: Iterator[bytes], packed: Callable[[bytes], bytes], count: int) -> bytes:
    """The blocks, compressed: two of them, as all but the first are the same."""
    return packed(next(found)) + packed(next(found)) * (count - 1)


def of_gzip() -> bytes:
    """One member; after a full flush each block leaves the same bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    checksum = 0
    for block in blocks(BLOCK, BLOCKS):
        checksum = zlib.crc32(block, checksum)
    data = _first_and_rest(
        blocks(BLOCK, BLOCKS), lambda block: deflate.compress(block) + deflate.flush(zlib.Z_FULL_FLUSH), BLOCKS
    )
    return gzip.compress(b"", mtime=0)[:10] + data + deflate.flush() + struct.pack("<II", checksum, GIGABYTE)


def of_snappy() -> bytes:
    """A stream of blocks, as Java's library frames them."""

    def packed(block: bytes) -> bytes:
        found = bytes(cramjam.snappy.compress_raw(block))
        return struct.pack(">i", len(found)) + found

    return _XERIAL_HEAD + _first_and_rest(blocks(SNAPPY_BLOCK, SNAPPY_BLOCKS), packed, SNAPPY_BLOCKS)


def of_lz4() -> bytes:
    """A frame of independent blocks."""

    def packed(block: bytes) -> bytes:
        found = bytes(cramjam.lz4.compress_block(block, store_size=False))
        return struct.pack("<I", len(found)) + found

    return _LZ4_HEAD + _first_and_rest(blocks(BLOCK, BLOCKS), packed, BLOCKS) + _LZ4_END


def of_zstd() -> bytes:
    """A frame in which each block says: this byte, so many times."""
    count = GIGABYTE // ZSTD_BLOCK
    begin = head(GIGABYTE)

    def block(size: int, kind: int, last: bool) -> bytes:
        return (size << 3 | kind << 1 | last).to_bytes(3, "little")

    zeros = block(ZSTD_BLOCK, 1, last=False) + b"\0"
    left = ZSTD_BLOCK - len(begin)
    return (
        _ZSTD_HEAD + block(len(begin), 0, last=False) + begin + zeros * (count - 1) + block(left, 1, last=True) + b"\0"
    )


#: Kafka's number of each codec, and how its bomb is made.
MADE: Mapping[str, tuple[int, Callable[[], bytes]]] = {
    "gzip": (1, of_gzip), "snappy": (2, of_snappy), "lz4": (3, of_lz4), "zstd": (4, of_zstd),
}  # fmt: skip


def batch(codec: int, payload: bytes, now_ms: int) -> bytes:
    """A record batch of one record that nobody in particular sends."""
    rest = _REST.pack(codec, 0, now_ms, now_ms, -1, -1, -1, 1) + payload
    return _HEAD.pack(0, len(rest) + _HEAD.size - 12, -1, 2, calc_crc32c(rest)) + rest


def append(bootstrap: str, partition: int, batches: list[bytes]) -> list[int]:
    """Each batch to a partition of the telemetry, as it is; their offsets. Raises NotTaken."""
    try:
        return asyncio.run(_append(bootstrap, partition, batches))
    except KafkaError as error:
        raise NotTaken(f"{NotTaken.__doc__}: {error!r}") from error


async def _append(bootstrap: str, partition: int, batches: list[bytes]) -> list[int]:
    client = AIOKafkaClient(bootstrap_servers=bootstrap, request_timeout_ms=int(ANSWER_S * 1000))
    await client.bootstrap()
    try:
        await client.set_topics([TELEMETRY])
        offsets = []
        for one in batches:
            node = client.cluster.leader_for_partition(TopicPartition(TELEMETRY, partition))
            wanted = ProduceRequest(None, -1, int(ANSWER_S * 1000), [(TELEMETRY, [(partition, one)])])
            answer = await client.send(node, wanted)
            ((_, ((_, error, offset, *_),)),) = answer.topics
            if error:
                raise NotTaken(f"{NotTaken.__doc__}: error {error}, {len(one)} bytes")
            offsets.append(int(offset))
        return offsets
    finally:
        await client.close()
