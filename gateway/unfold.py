"""Unfold: a compressed body to its bytes, never beyond a limit.

What: gzip (several members too), deflate's zlib form, zstd and raw snappy, each into at most `allowed` bytes. Why: four
kilobytes of a bomb become gigabytes; the limit has to hold while it unfolds, not afterwards; and what takes long must not
keep everybody waiting, so it is done on a thread beside the loop, one body at a time. It refuses with 413 what
grows beyond the limit or the ratio, with 400 what is broken or ends early, and with 415 an encoding that it does not know.
"""

from __future__ import annotations

import asyncio
import io
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import cramjam

from gateway.limits import (
    FIRST_UNFOLD_BYTES,
    FREE_UNFOLD_BYTES,
    GZIP_MEMBERS,
    UNFOLD_HERE_BYTES,
    UNFOLD_RATIO,
    UNFOLD_STEP_BYTES,
    UNFOLDED_BYTES,
)
from gateway.refusal import Refusal, bad, too_large

_GZIP_OR_ZLIB: Final = zlib.MAX_WBITS | 32  # zlib finds out by itself which of them it is
_TOO_SMALL: Final = "failed to write whole buffer"
_ZSTD_TOO_SMALL: Final = "too small"
_BESIDE: Final = ThreadPoolExecutor(1, "unfold")


def allowed(size: int, limit: int = UNFOLDED_BYTES) -> int:
    """Bytes to which `size` compressed bytes may unfold."""
    return min(limit, max(FREE_UNFOLD_BYTES, size * UNFOLD_RATIO))


def _beyond(size: int, most: int) -> Refusal:
    return too_large(f"{size} compressed bytes unfold beyond {most}")


def deflated(data: bytes, most: int) -> bytes:
    """Any of gzip's or zlib's form, step by step: a step is what other threads may have to wait for. Raises Refusal."""
    out = io.BytesIO()  # unlike a join, it gives its bytes away without a copy of all of them
    rest = memoryview(data)
    for _ in range(GZIP_MEMBERS):
        inflate = zlib.decompressobj(_GZIP_OR_ZLIB)
        while rest and not inflate.eof:
            part = rest[:UNFOLD_STEP_BYTES]
            rest = rest[len(part) - _inflated(inflate, part, out, most, len(data)) :]
        if not inflate.eof:
            raise bad("encoding", "the compressed body ends early")
        if not rest:
            return out.getvalue()
    raise bad("encoding", f"more than {GZIP_MEMBERS} gzip members")


def _inflated(inflate: zlib._Decompress, part: memoryview, out: io.BytesIO, most: int, size: int) -> int:
    """What a part of the compressed bytes gives goes to `out`; bytes of the part that are behind the end. Raises Refusal."""
    tail: bytes | memoryview = part
    while not inflate.eof:
        room = most + 1 - out.tell()
        try:
            more = inflate.decompress(tail, min(UNFOLD_STEP_BYTES, room))
        except zlib.error as error:
            raise bad("encoding", f"not gzip or zlib: {error}") from error
        if len(more) >= room:
            raise _beyond(size, most)
        out.write(more)
        tail = inflate.unconsumed_tail
        if not tail and len(more) < UNFOLD_STEP_BYTES:
            break
    return len(inflate.unused_data)


def zstandard(data: bytes, most: int) -> bytes:
    """One or more zstd frames. Raises Refusal."""
    size = min(most, FIRST_UNFOLD_BYTES)
    while True:
        target = bytearray(size)
        try:
            written = cramjam.zstd.decompress_into(data, target)
        except cramjam.DecompressionError as error:
            if _TOO_SMALL not in str(error) and _ZSTD_TOO_SMALL not in str(error):
                raise bad("encoding", f"not zstd: {str(error)[:100]}") from error
            if size >= most:
                raise _beyond(len(data), most) from None
            size = min(most, size * 4)
            continue
        return bytes(memoryview(target)[:written])


def snappy(data: bytes, most: int) -> bytes:
    """Snappy's raw form, which declares its size. Raises Refusal."""
    try:
        declared = cramjam.snappy.decompress_raw_len(data)
        if declared > most:
            raise _beyond(len(data), most)
        return bytes(cramjam.snappy.decompress_raw(data))
    except cramjam.DecompressionError as error:
        raise bad("encoding", f"not snappy: {str(error)[:100]}") from error


UNFOLD: Final[Mapping[str, Callable[[bytes, int], bytes]]] = {
    "gzip": deflated,
    "x-gzip": deflated,
    "deflate": deflated,
    "zstd": zstandard,
    "snappy": snappy,
}


def known(encoding: str) -> str:
    """The Content-Encoding in lower case, "" for none. Raises Refusal for one that is not known, or several."""
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return ""
    if name not in UNFOLD:
        raise Refusal(415, "encoding", f"content encoding {name[:40]!r}; known are {', '.join(sorted(UNFOLD))}")
    return name


def unfold(data: bytes, encoding: str, limit: int = UNFOLDED_BYTES) -> bytes:
    """The body itself. `encoding` as `known` answered. Raises Refusal."""
    if not encoding:
        if len(data) > limit:
            raise too_large(f"{len(data)} bytes; the limit is {limit}")
        return data
    return UNFOLD[encoding](data, allowed(len(data), limit))


async def unfolded(data: bytes, encoding: str, limit: int) -> bytes:
    """The same; a large body beside the event loop. Raises Refusal."""
    if not encoding or len(data) <= UNFOLD_HERE_BYTES:
        return unfold(data, encoding, limit)
    return await asyncio.get_running_loop().run_in_executor(_BESIDE, unfold, data, encoding, limit)
