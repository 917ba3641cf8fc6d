"""The work of every Python peer, so that none does less than another: decode, window, fold, result.

What: one single event decoded by fastavro to what the windows need; one event folded into one window's aggregate (count,
sum, min, max, good, exponential histogram); the record of a result; progress in lines of JSON for the harness. Why in one
place: what differs between the peers is then their engines. Refuses to be clever in any of them.
"""

from __future__ import annotations

import io
import json
import math
import os
import sys
from typing import Any, TypedDict

import fastavro

from schemas.framing import SINGLE_OBJECT_HEADER_BYTES
from schemas.telemetry_schema import EVENT_SCHEMA

WINDOW_MS = 10_000
GRACE_MS = 5_000  # as long as Tocsin waits for a web source
HISTOGRAM_SCALE = 8  # buckets to a factor of two
GOOD = 1

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "")
TOPIC = os.environ.get("BENCH_TOPIC", "telemetry")
RESULTS = os.environ.get("BENCH_RESULTS", "bench-results")
GROUP = os.environ.get("BENCH_GROUP", "bench-peer")
PARTITIONS = int(os.environ.get("BENCH_PARTITIONS", "4"))
SESSION_S = float(os.environ.get("BENCH_SESSION_S", "0"))  # 0: the engine's own default
CLIENT = os.environ.get("BENCH_CLIENT", "bench-peer")


class Event(TypedDict):
    """What the windows need of an event."""

    key: str
    time_ms: int
    value: float
    good: bool


Cell = dict[str, Any]


def decoded(value: bytes) -> Event:
    """One framed single event."""
    found: Any = fastavro.schemaless_reader(io.BytesIO(value[SINGLE_OBJECT_HEADER_BYTES:]), EVENT_SCHEMA, None)
    key = "|".join(text for _, text in sorted(found["labels"].items()))
    return {"key": key, "time_ms": found["time_ms"], "value": found["value"], "good": found["outcome"] == GOOD}


def bucket(value: float) -> str:
    """Exponential histogram: the bucket of a value. Text, since JSON knows no other key."""
    return str(math.ceil(math.log2(value) * HISTOGRAM_SCALE) - 1 if value > 0 else 0)


def empty() -> Cell:
    """A window without events."""
    return {"count": 0, "sum": 0.0, "low": math.inf, "high": -math.inf, "good": 0, "histogram": {}}


def fold(cell: Cell, event: Event) -> Cell:
    """One event into one window's aggregate, in place, as every engine here allows it."""
    value, at = event["value"], bucket(event["value"])
    cell["count"] += 1
    cell["sum"] += value
    cell["low"] = min(cell["low"], value)
    cell["high"] = max(cell["high"], value)
    cell["good"] += event["good"]
    cell["histogram"][at] = cell["histogram"].get(at, 0) + 1
    return cell


def result(start_ms: int, cell: Cell) -> bytes:
    """A window's result, as the harness reads it; the record's key is the series."""
    return json.dumps({"start_ms": start_ms, **cell}).encode()


def report(**facts: object) -> None:
    """One line for the harness: `done` events, and what else a peer tells."""
    out = sys.__stdout__  # Faust turns sys.stdout into log lines
    if out is not None:
        out.write(json.dumps(facts) + "\n")
        out.flush()
