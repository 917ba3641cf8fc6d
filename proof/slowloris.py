"""Slowloris: many clients that are slow on purpose, and when the server lets go of each: `python -m proof.slowloris`.

What: heads that never end, bodies that drip, answers that nobody reads; all connected at once and held for as long as the
server bears it. Why: a server that waits for each of them waits for all of them, and a deadline that a byte now and then
puts off is none. It refuses to end a connection itself before the time is over: one that was never let go says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Sequence

from proof.oversized import PATH, PIECE_BYTES

DRIP_S = 0.5
READER_BYTES = 4_096  # of a receive buffer that fills up at once
JUDGED = 1_024  # records in a request of a reader: each has a verdict, so that the answer is large
ANSWERS = 16  # that a reader asks for, and does not read
GOODBYE = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP


@dataclasses.dataclass(slots=True)
class Slow:
    """One connection. `first`: what is sent at once; `drip`: and then again and again."""

    kind: str
    first: bytes
    drip: bytes
    connection: socket.socket = dataclasses.field(init=False)
    begun: float = 0.0
    held_s: float = 0.0  # until the server ended it; 0 while it has not

    def connect(self, host: str, port: int) -> None:
        """Now. Raises OSError."""
        self.connection = socket.socket()
        if self.kind == "reader":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READER_BYTES)
        self.connection.connect((host, port))
        self.connection.setblocking(False)
        self.begun = time.monotonic()
        self.send(self.first)

    def send(self, data: bytes) -> None:
        """As much as goes; an end shows elsewhere."""
        with contextlib.suppress(OSError):
            self.connection.send(data)

    def heard(self, event: int) -> bool:
        """Whether the server has ended it."""
        if not event & GOODBYE and self.kind != "reader":
            with contextlib.suppress(ConnectionError, BlockingIOError):
                return not self.connection.recv(PIECE_BYTES)
        return bool(event & GOODBYE)


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What became of one kind. `let_go`: connections that the server ended; `longest_s`: the last of them."""

    kind: str
    connections: int
    let_go: int
    longest_s: float


def crowd(count: int) -> list[Slow]:
    """So many: of twenty, nine heads, nine bodies, one that says nothing and one that does not read."""
    records = struct.pack(">I", 0) * JUDGED
    asking = PATH + b"Content-Length: %d\r\n\r\n" % len(records) + records
    kinds = {
        "head": (PATH, b"X: v\r\n"),
        "silence": (b"", b""),
        "body": (PATH + b"Content-Length: 1000000\r\n\r\n", b"x"),
        "reader": (asking * ANSWERS, b""),
    }
    turns = itertools.cycle(["silence", "reader", *["head", "body"] * 9])
    return [Slow(kind, *kinds[kind]) for kind in itertools.islice(turns, count)]


def held(host: str, port: int, count: int, seconds: float) -> list[Slow]:
    """Hold so many connections until the server has ended all of them, for so long at most. Raises OSError."""
    poll, slow = select.epoll(), dict[int, Slow]()
    for one in crowd(count):
        one.connect(host, port)
        slow[one.connection.fileno()] = one
        poll.register(one.connection, GOODBYE | (0 if one.kind == "reader" else select.EPOLLIN))
    ends, drips, waiting = time.monotonic() + seconds, time.monotonic() + DRIP_S, set(slow)
    while waiting and time.monotonic() < ends:
        for number, event in poll.poll(max(0.0, min(ends, drips) - time.monotonic())):
            if slow[number].heard(event):
                slow[number].held_s = time.monotonic() - slow[number].begun
                poll.unregister(number)
                waiting.discard(number)
        if time.monotonic() >= drips:
            drips += DRIP_S
            for number in waiting:
                slow[number].send(slow[number].drip)
    for one in slow.values():
        one.connection.close()
    poll.close()
    return list(slow.values())


def summed(slow: Sequence[Slow]) -> list[Held]:
    """By kind."""
    found = []
    for kind in dict.fromkeys(one.kind for one in slow):
        of = [one.held_s for one in slow if one.kind == kind]
        found.append(Held(kind, len(of), sum(held_s > 0 for held_s in of), round(max(of), 2)))
    return found


if __name__ == "__main__":
    found = summed(held(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
    print(json.dumps([dataclasses.asdict(one) for one in found]))
