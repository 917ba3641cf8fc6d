"""A peer: Quix Streams with a tumbling window, doing the same work.

The record's key is the series, so that its windows need no repartition topic; a reducer keeps the whole aggregate in one
state entry, which costs it less than one aggregator a measure. RocksDB with a changelog, its default commit interval,
final results by event time. Refuses to be clever.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from quixstreams import Application
from quixstreams.models import Deserializer

from bench.peers import work

REPORT_S = 0.5
done = 0


class Events(Deserializer):
    """Single events, by the same decoder as every peer."""

    def __call__(self, value: bytes, ctx: object) -> work.Event:
        """One event."""
        return work.decoded(value)


def counted(_topic: str, _partition: int, _offset: int) -> None:
    """Quix calls it after each message."""
    global done  # noqa: PLW0603 - one counter of one script
    done += 1


def event_time(value: Any, _headers: object, _timestamp: float, _kind: object) -> int:
    """The time that windows follow."""
    return int(value["time_ms"])


def begun(event: work.Event) -> work.Cell:
    """A window with its first event."""
    return work.fold(work.empty(), event)


def told(window: dict[str, Any]) -> bytes:
    """A final window as the harness reads it."""
    return work.result(window["start"], window["value"])


def tell(every: threading.Event) -> None:
    """Progress, from a thread of its own: the application's loop is its own."""
    while not every.wait(REPORT_S):
        work.report(done=done)


def main() -> None:
    """Run until killed."""
    app = Application(
        broker_address=work.BOOTSTRAP,
        consumer_group=work.GROUP,
        auto_offset_reset="earliest",
        state_dir=os.environ["BENCH_STATE"],
        on_message_processed=counted,
        loglevel="WARNING",
    )
    events = app.topic(
        work.TOPIC, key_deserializer="bytes", value_deserializer=Events(), timestamp_extractor=event_time
    )
    results = app.topic(work.RESULTS, key_serializer="bytes", value_serializer="bytes")
    window = app.dataframe(events).tumbling_window(work.WINDOW_MS, grace_ms=work.GRACE_MS)
    window.reduce(reducer=work.fold, initializer=begun).final(closing_strategy="partition").apply(told).to_topic(
        results
    )
    threading.Thread(target=tell, args=(threading.Event(),), daemon=True).start()
    app.run()


if __name__ == "__main__":
    main()
