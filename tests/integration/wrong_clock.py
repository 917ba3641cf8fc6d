"""A real source whose clock is wrong: `wrong_clock.py WAY SOURCE OFF_MS COUNT [SPOOL]`.

It records COUNT outcomes by a wall clock that is off by OFF_MS, and ends when all of them are delivered; with a spool and no
way out, when they are on the disk. The clock is faked where the client reads it, and nowhere else.
"""

from __future__ import annotations

import sys

from tocsin import Client, clock


def main(way: str, source: str, off_ms: str, count: str, spool: str = "") -> None:
    """Raises AssertionError where it cannot do that."""
    real, off_ns = clock.time_ns, int(off_ms) * 1_000_000
    clock.time_ns = lambda: real() + off_ns
    options = {"spool": spool, "catch_up_jitter": 0.0} if spool else {}
    client = Client(
        source=source, service=source, kind="web", transport=way, flush_interval=60.0, report=False, exit_deadline=0.5, **options
    )  # fmt: skip
    outcome = client.outcome("drive.start")
    for number in range(int(count)):
        outcome.observe(good=number % 2 == 0, value=float(number))
    assert client.commit(20) if way.endswith(":1") else client.flush(60), client.stats
    client.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
