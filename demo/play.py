"""Play: publishes the demo's telemetry, an hour of history first and then the running second.

What: the sources behind one producer whose records all pass the ledger. Why: history and the present go through the
same code, in the order of event time, so that the platform sees what it would have seen. It refuses to wait for the
platform: it publishes at the pace of the clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tocsin import Client, Transport

from demo.ledger import Ledger, LedgerTransport
from demo.sources.desktop import Desktop
from demo.sources.vehicles import Vehicles
from demo.sources.web import Web
from demo.story import Story

SLICE_MS = 10_000  # of history, published at once
SLICES_A_WAIT = 6  # slices between two waits for acknowledgements
TICK_S = 0.2  # of the present
SETTLE_S = 30.0  # for the last acknowledgements

Progress = Callable[[str], None]


def unreadable(seed: int) -> list[bytes]:
    """Records that no decoder may accept: no framing, an unknown schema, and a batch that ends too early."""
    return [b"not avro", b"\xc3\x01" + seed.to_bytes(8, "little") + b"\x02a", b"\xc3\x01"]


class Player:
    """All sources of one run. `garbage_ms`: event time at which unreadable records are published as well."""

    def __init__(
        self, story: Story, transport: Transport, *, web_rate: int = 40, garbage_ms: int | None = None
    ) -> None:
        self.ledger = Ledger()
        self.garbage = 0
        self.published_ms = 0
        self._raw = transport
        self._booked = LedgerTransport(transport, self.ledger)
        self._garbage_ms = garbage_ms
        self._seed = story.seed
        history = (Web(story, self._connect, web_rate), Vehicles(story, self._connect))
        self._history = history
        self._live = (*history, Desktop(self._connect))
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None

    def _connect(self, **options: Any) -> Client:
        # what a client tells of itself is of now, and these begin an hour ago: now would make that too late
        return Client(transport=self._booked, flush_interval=5.0, report=False, **options)

    @property
    def clients(self) -> list[Client]:
        """Every client of every source."""
        return [client for source in self._live for client in source.clients]

    def backfill(self, start_ms: int, progress: Progress) -> None:
        """Publish from `start_ms` until the present is reached, in order of event time."""
        begin, number = start_ms, 0
        while True:
            now_ms = time.time_ns() // 1_000_000
            end = min(begin + SLICE_MS, now_ms)
            for source in self._history:
                source.emit(begin, end)
            self._push(wait=number % SLICES_A_WAIT == SLICES_A_WAIT - 1)
            begin, number = end, number + 1
            if number % 30 == 0:
                total = sum(self.ledger.published.values())
                progress(f"history: {(now_ms - begin) / 60_000:.0f} min to go, {total:,} measurements published")
            if end == now_ms:
                self.published_ms = end
                return

    def _push(self, wait: bool = False) -> None:
        for client in self.clients:
            client.flush(SETTLE_S if wait else 0)

    def start(self) -> None:
        """Publish the present in the background from where history ended."""
        self._thread = threading.Thread(target=self._run, name="demo-sources", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.wait(TICK_S):
                self._tick(time.time_ns() // 1_000_000)
        except Exception as error:  # noqa: BLE001 - whoever watches the run raises it there
            self.failure = error

    def _tick(self, now_ms: int) -> None:
        for source in self._live:
            source.emit(self.published_ms, now_ms)
        if self._garbage_ms is not None and now_ms >= self._garbage_ms:
            self._garbage_ms = None
            for value in unreadable(self._seed):
                self.garbage += 1
                self._raw.send(b"broken", value, lambda error: None)
        self.published_ms = now_ms
        self._push()

    def stop(self) -> None:
        """Stop publishing and wait until the fate of every record is known."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for client in self.clients:
            client.close(SETTLE_S)
