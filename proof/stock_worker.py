"""Stock worker: counts in windows with stock Faust, as its users write it; the control that a kill with -9 must break.

What: one event a message, folded into a tumbling window of a table with a changelog, and one output for each input. The
guarantee comes from the environment; everything else is Faust's default, the session timeout apart (60 s would only make the
run longer). Why: what is promised of Tocsin is measured beside what it is built on, on the same cluster, under the same
kills. It refuses to be clever, and to help Faust in any way.
"""

from __future__ import annotations

import os

import faust

WINDOW_S = 10.0
KEPT_S = 3_600.0
PARTITIONS = 4
TABLE = "windows"

NAME = os.environ.get("PROOF_NAME", "proof-stock")
WIDE = 2**64


class Event(faust.Record):
    """One measurement. `time`: s since epoch; `id`: one of 2**63, for the fingerprint."""

    series: str
    time: float
    value: int
    id: int


app = faust.App(
    NAME,
    broker=";".join(f"kafka://{place}" for place in os.environ.get("PROOF_BOOTSTRAP", "127.0.0.1:9092").split(",")),
    processing_guarantee=os.environ.get("PROOF_GUARANTEE", "at_least_once"),
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=3,
    broker_session_timeout=3,
    broker_heartbeat_interval=1,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)
events = app.topic(f"{NAME}-events", key_type=str, value_type=Event)
echo = app.topic(f"{NAME}-echo", key_type=str, value_type=Event)
windows = app.Table(TABLE, default=list, partitions=PARTITIONS).tumbling(WINDOW_S, expires=KEPT_S)
windows = windows.relative_to_field(Event.time)


@app.agent(events)
async def aggregate(stream: faust.StreamT[Event]) -> None:
    """Count, sum, lowest, highest and fingerprint of each series and window; each input is passed on."""
    async for event in stream:
        cell = windows[event.series].value()
        count, total, low, high, fingerprint = cell or (0, 0, event.value, event.value, 0)
        windows[event.series] = [
            count + 1,
            total + event.value,
            min(low, event.value),
            max(high, event.value),
            (fingerprint + event.id) % WIDE,
        ]
        await echo.send(key=event.series, value=event)


if __name__ == "__main__":
    app.main()
