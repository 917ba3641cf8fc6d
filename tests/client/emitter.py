"""A real process that records with a spool, for tests to kill: `emitter.py SPOOL OUT PROMISED ROUND SEED`.

It writes what it sends to OUT, synced, before it answers; a part of the answers is lost, and of the sends nothing comes
of others. After each commit that the client confirms, the highest number it promised goes to PROMISED.
"""

from __future__ import annotations

import os
import random
import sys

from tocsin import Client, OnResult

SIZE_BYTES = 4


class Recording:
    """A destination in a file: framed by length. What it answers hangs on `chance`."""

    def __init__(self, path: str, chance: random.Random, faults: bool = True) -> None:
        self.file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        self.chance = chance
        self.faults = faults

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        draw = self.chance.random() if self.faults else 0.0
        if draw < 0.8:
            os.write(self.file, len(value).to_bytes(SIZE_BYTES, "big") + value)
        on_result(None if draw < 0.6 else TimeoutError("nobody knows"))

    def flush(self, timeout: float) -> int:
        return 0


def read(data: bytes) -> list[bytes]:
    """The records in such a file, up to the last whole one of each life."""
    found, at = [], 0
    while at + SIZE_BYTES <= len(data):
        size = int.from_bytes(data[at : at + SIZE_BYTES], "big")
        found.append(data[at + SIZE_BYTES : at + SIZE_BYTES + size])
        at += SIZE_BYTES + size
    return found


def main(folder: str, out: str, promised: str, turn: str, seed: str) -> None:
    """Record for ever."""
    chance = random.Random(int(seed))
    told = os.open(promised, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    client = Client(
        source="car-1", service="x", kind="vehicle", transport=Recording(out, chance), spool=folder,
        flush_interval=0.01, report=False, catch_up_jitter=0.0,
    )  # fmt: skip
    gauge = client.gauge("g")
    number = int(turn) * 1_000_000
    while True:
        for _ in range(chance.randrange(1, 500)):
            gauge.set(float(number))
            number += 1
        if client.commit(10.0):
            os.write(told, b"%d\n" % number)


if __name__ == "__main__":
    main(*sys.argv[1:])
