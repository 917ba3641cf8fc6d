"""The peer that Tocsin is built on: stock Faust with a windowed table, doing the same work.

Reads single events from the topic in BENCH_TOPIC, decodes each with fastavro, and keeps count, sum, min, max, good and
an exponential histogram by three labels in 10 s windows of event time, in a changelogged in-memory table: Faust's own
idiom. Prints one JSON line a second with the events done, which the harness reads. Refuses to be clever.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from typing import Any

import fastavro
import faust

from schemas.framing import SINGLE_OBJECT_HEADER_BYTES
from schemas.telemetry_schema import EVENT_SCHEMA

WINDOW_SECONDS = 10.0
KEPT_SECONDS = 3_600.0
HISTOGRAM_SCALE = 8

app = faust.App(
    os.environ.get("BENCH_GROUP", "bench-plain-faust"),
    broker=f"kafka://{os.environ['BENCH_BOOTSTRAP']}",
    store="memory://",
    topic_partitions=int(os.environ.get("BENCH_PARTITIONS", "4")),
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    topic_disable_leader=True,
    table_standby_replicas=0,
    stream_wait_empty=False,
)
events = app.topic(os.environ["BENCH_TOPIC"], key_serializer="raw", value_serializer="raw")
windows = app.Table("windows", default=dict, partitions=int(os.environ.get("BENCH_PARTITIONS", "4"))).tumbling(
    WINDOW_SECONDS, expires=KEPT_SECONDS
)
progress = {"done": 0}


def fold(cell: dict[str, Any], value: float, good: bool) -> dict[str, Any]:
    """One event into one window's aggregate."""
    bucket = str(math.ceil(math.log2(value) * HISTOGRAM_SCALE) - 1 if value > 0 else 0)
    histogram = cell.get("histogram", {})
    histogram[bucket] = histogram.get(bucket, 0) + 1
    return {
        "count": cell.get("count", 0) + 1,
        "sum": cell.get("sum", 0.0) + value,
        "low": min(cell.get("low", value), value),
        "high": max(cell.get("high", value), value),
        "good": cell.get("good", 0) + good,
        "histogram": histogram,
    }


@app.agent(events)
async def aggregate(stream: faust.StreamT[bytes]) -> None:
    """Plain Faust: one event at a time, one table write each."""
    async for value in stream:
        event: Any = fastavro.schemaless_reader(io.BytesIO(value[SINGLE_OBJECT_HEADER_BYTES:]), EVENT_SCHEMA, None)
        key = event["metric"] + "|" + "|".join(f"{k}={v}" for k, v in sorted(event["labels"].items()))
        windows[key] = fold(windows[key].current(), event["value"], event["outcome"] == 1)
        progress["done"] += 1


@app.timer(1.0)
async def report() -> None:
    """How far it is."""
    out = sys.__stdout__  # Faust turns sys.stdout into log lines
    if out is not None:
        out.write(json.dumps(progress) + "\n")
        out.flush()


if __name__ == "__main__":
    app.main()
