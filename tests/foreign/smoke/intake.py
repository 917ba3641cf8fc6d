"""Intake: the driver's `data` in; telemetry for the product, echoes, and the windows that the product does not have.

What: each record becomes a telemetry event under its own offset as sequence number, so that the product's dedupe takes a
replay for what it is; minima by day and sums of two seconds each second close by stream time, as in Kafka Streams, and leave
through `once`. State is a function of the log up to the fence. It refuses clocks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Protocol

from schemas.encoding import Producer, Resource, SeriesEntry, encode_event
from schemas.records import MeasureKind, SourceKind
from streams import topics
from streams.producer import Outgoing
from streams.records import Record, Records
from tests.foreign.smoke.job import DAY, FLUSH, INT, MINUTE, SECOND, WRONG_AT, Wrong

METRIC = "smoke.data"
RESOURCE = Resource(service="smoke", version="1", environment="test", region="here", source_kind=SourceKind.WEB)
MIN, SWS = "min", "sws"
#: Window -> (length, each so often, how long it waits for late records), ms.
WINDOWS = {MIN: (DAY, DAY, MINUTE), SWS: (2 * SECOND, SECOND, 30 * SECOND)}
ELSEWHERE = 1 << 40  # a sequence number that no offset has

Place = tuple[str, str, int]  # (window, key, start in ms)


class Sends(Protocol):
    """Sends each result once."""

    def send(self, results: list[Outgoing], repeat_at: int = -1) -> None:
        """Those that are not there yet."""


def key_of(place: Place) -> bytes:
    """As Kafka Streams prints a windowed key."""
    window, key, start_ms = place
    return f"[{key}@{start_ms}/{start_ms + WINDOWS[window][0]}]".encode()


def starts(window: str, time_ms: int) -> Iterator[int]:
    """Of the windows that hold a time."""
    length, each, _ = WINDOWS[window]
    last = time_ms // each * each
    return (start for start in range(last, last - length, -each) if start + length > time_ms)


class IntakeStep:
    """See `streams.step.Step`."""

    urgent = False
    wants_snapshot = False

    def __init__(self, partition: int, once: Sends, wrong: Wrong) -> None:
        self.partition, self._once, self._wrong = partition, once, wrong
        self.fence, self._stream_ms = -1, -1
        self._open: dict[Place, int] = {}
        self._changed: dict[Place, int] = {}
        self._closed: list[Outgoing] = []
        self._out: list[Outgoing] = []
        self._producer = Producer(f"smoke-{partition}", "boot")

    def apply(self, records: Records) -> None:
        for record in records.after(self.fence):
            self._one(record)
        self.fence = max(self.fence, int(records.offset[-1]))
        for place in [place for place in self._open if self._over(place)]:
            self._closed.append(self._result("suppressed", place, self._open.pop(place)))

    def _one(self, record: Record) -> None:
        self._stream_ms = max(self._stream_ms, record.timestamp_ms)
        if record.key == FLUSH:
            return
        key, (number,) = record.key.decode(), INT.unpack(record.value)
        self._out.append(Outgoing("echo", record.key, record.value, self.partition))
        self._out += [self._event(key, record, number, sequence) for sequence in self._sequences(record.offset)]
        for window in WINDOWS:
            for start_ms in starts(window, record.timestamp_ms):
                place = (window, key, start_ms)
                if self._over(place):
                    continue  # too late for it
                before = self._open.get(place)
                combined = number if before is None else min(before, number) if window == MIN else before + number
                self._open[place] = self._changed[place] = combined

    def _sequences(self, offset: int) -> list[int]:
        """Under which numbers a record is counted: its own, unless this job is to be wrong."""
        if offset == WRONG_AT and self._wrong.name == "dropped":
            return []
        if offset == WRONG_AT and self._wrong.name == "doubled":
            return [offset, ELSEWHERE]
        return [offset]

    def _event(self, key: str, record: Record, number: int, sequence: int) -> Outgoing:
        entry = SeriesEntry(METRIC, MeasureKind.HISTOGRAM, "1", {"key": key})
        value = encode_event(
            entry, RESOURCE, self._producer, time_ms=record.timestamp_ms, value=float(number), sequence=sequence
        )
        return Outgoing(topics.TELEMETRY, record.key, value, self.partition)

    def _over(self, place: Place) -> bool:
        length, _, grace = WINDOWS[place[0]]
        return place[2] + length + grace <= self._stream_ms

    def _result(self, form: str, place: Place, value: int) -> Outgoing:
        return Outgoing(f"{place[0]}-{form}", key_of(place), INT.pack(value), self.partition)

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Time is in the records."""

    def drain(self) -> list[Outgoing]:
        """Closed windows at once, since what is sent once cannot be left to a sending that may come twice; the rest."""
        if self._closed:
            self._once.send(self._closed, WRONG_AT if self._wrong.name == "repeated" else -1)
            self._closed = []
        out, self._out = self._out, []
        out += [self._result("raw", place, value) for place, value in self._changed.items()]
        self._changed.clear()
        return out

    def settled(self) -> None:
        """Nothing waits for it."""

    def snapshot(self) -> bytes:
        state = {"fence": self.fence, "stream": self._stream_ms, "open": [[*at, v] for at, v in self._open.items()]}
        return json.dumps(state).encode()

    def restore(self, data: bytes) -> None:
        state = json.loads(data)
        self.fence, self._stream_ms = state["fence"], state["stream"]
        self._open = {(window, key, start): value for window, key, start, value in state["open"]}

    def close(self) -> None:
        """A younger producer of the same name will fence this one's."""
