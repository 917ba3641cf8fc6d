"""Oversized: requests that are too large, each in its way, and how much of each a server takes: `python -m proof.oversized`.

What: bodies without an end, heads without an end, bodies that unfold to a gigabyte; sent as fast as they go, by senders who
read the answer and send on regardless. Why: a limit is a promise about bytes taken, and those can only be counted where they
are sent. It refuses to stop by itself before the server ends the connection or the time is over: one that was never
ended says so.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import select
import socket
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cramjam

PIECE_BYTES = 1 << 16
SEND_BUFFER_BYTES = 1 << 16  # what lies in it was not taken by anybody
UNFOLDED_BYTES = 1 << 30
HEADER_LINES = 1_000_000
PATH = b"POST /v1/telemetry HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/vnd.tocsin.batches\r\n"
TOO_LARGE, BAD_HEAD = frozenset({413}), frozenset({400, 414, 431})


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One that is too large. `pieces`: what is sent; `statuses`: answers that are right."""

    name: str
    statuses: frozenset[int]
    pieces: Iterator[bytes]


@dataclasses.dataclass(frozen=True, slots=True)
class Fate:
    """What became of one. `status`: 0 when there was no answer; `sent`: bytes that left this process; `answered_s`: from
    the first byte, 0 without an answer; `ended_s`: until the connection was ended, 0 when it was not."""

    name: str
    good: bool
    status: int
    sent: int
    answered_s: float
    ended_s: float


def deflated(wbits: int) -> bytes:
    """A gigabyte of zeros, in gzip's or zlib's form; one block, again and again."""
    block, folding = bytes(1 << 20), zlib.compressobj(9, zlib.DEFLATED, wbits)
    head = folding.compress(block) + folding.flush(zlib.Z_FULL_FLUSH)
    again = folding.compress(block) + folding.flush(zlib.Z_FULL_FLUSH)
    return head + again * (UNFOLDED_BYTES // len(block) - 1)


def bombs() -> dict[str, bytes]:
    """Bodies by their content encoding, each of which unfolds to a gigabyte or says so."""
    return {
        "gzip": deflated(zlib.MAX_WBITS | 16),
        "deflate": deflated(zlib.MAX_WBITS),
        "zstd": bytes(cramjam.zstd.compress(bytes(UNFOLDED_BYTES >> 6))) * 64,
        "snappy": b"\x80\x80\x80\x80\x04" + bytes(1 << 10),
    }


def whole(head: bytes, body: bytes) -> Iterator[bytes]:
    """A request of one body."""
    yield PATH + head + b"Content-Length: %d\r\n\r\n" % len(body)
    for begin in range(0, len(body), PIECE_BYTES):
        yield body[begin : begin + PIECE_BYTES]


def endless(head: bytes, piece: bytes) -> Iterator[bytes]:
    """A request that goes on for ever."""
    return itertools.chain([PATH + head], itertools.repeat(piece))


def requests() -> list[Request]:
    """One of each kind."""
    zeros = bytes(PIECE_BYTES)
    chunked = b"Transfer-Encoding: chunked\r\n\r\n"
    lines = (b"X-%d: v\r\n" % number for number in range(HEADER_LINES))
    folded = {name: whole(b"Content-Encoding: %s\r\n" % name.encode(), body) for name, body in bombs().items()}
    nested = whole(b"Content-Encoding: gzip, gzip\r\n", zlib.compress(zeros, 9, zlib.MAX_WBITS | 16))
    return [
        Request("declared: a terabyte", TOO_LARGE, endless(b"Content-Length: 1099511627776\r\n\r\n", zeros)),
        Request("endless, in chunks", TOO_LARGE, endless(chunked, b"%x\r\n%b\r\n" % (len(zeros), zeros))),
        Request("endless, in chunks of a byte", TOO_LARGE, endless(chunked, b"1\r\n0\r\n" * 4_096)),
        Request("a million header lines", BAD_HEAD, itertools.chain([PATH], gathered(lines))),
        Request("a header without an end", BAD_HEAD, endless(b"X-Large: ", b"a" * PIECE_BYTES)),
        Request("a request line without an end", BAD_HEAD, itertools.chain([b"GET /"], itertools.repeat(b"a" * PIECE_BYTES))),
        *(Request(f"{name}: unfolds to a gigabyte", TOO_LARGE, pieces) for name, pieces in folded.items()),
        Request("gzip in gzip", frozenset({415}), nested),
    ]  # fmt: skip


def gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines in pieces as large as the others'."""
    while piece := b"".join(itertools.islice(lines, PIECE_BYTES >> 4)):
        yield piece


def status_of(answer: bytes) -> int:
    """The status of an HTTP answer, as far as it has come; 0 without one."""
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 2 and words[1].isdigit() else 0


def sent(request: Request, host: str, port: int, seconds: float) -> Fate:
    """Send it until the server ends the connection, for so long at most; then wait for its end."""
    taken, answer, answered_s, ended_s, begun = 0, b"", 0.0, 0.0, time.monotonic()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        connection.settimeout(seconds)
        connection.connect((host, port))
        connection.setblocking(False)
        rest = b""
        while not ended_s and time.monotonic() - begun < seconds:
            rest = rest or next(request.pieces, b"")
            readable, writable, _ = select.select([connection], [connection] if rest else [], [], 1.0)
            try:
                if readable:
                    heard = connection.recv(PIECE_BYTES)
                    answer += heard
                    answered_s = answered_s or time.monotonic() - begun
                    ended_s = 0.0 if heard else time.monotonic() - begun
                if writable and not ended_s:
                    some = connection.send(rest)
                    taken, rest = taken + some, rest[some:]
            except ConnectionError:
                ended_s = time.monotonic() - begun
    status = status_of(answer)
    return Fate(request.name, status in request.statuses, status, taken, round(answered_s, 6), round(ended_s, 6))


def main(host: str, port: int, times: int, seconds: float) -> list[Fate]:
    """One of each kind at once, so many times over."""
    fates: list[Fate] = []
    for _ in range(times):
        kinds = requests()
        with ThreadPoolExecutor(len(kinds)) as pool:
            fates += pool.map(lambda one: sent(one, host, port, seconds), kinds)
    return fates


if __name__ == "__main__":
    found = main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps([dataclasses.asdict(fate) for fate in found]))
