"""With a schema registry: records in Confluent's framing are read by the schema that the registry has for their id."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from demo.audit import Audit
from demo.workers import ROOT
from schemas import corrupt
from schemas.encoding import Producer as Source
from schemas.encoding import Resource, SeriesEntry, encode_event
from schemas.records import MeasureKind, SourceKind
from streams import topics
from tests.integration.plant import Plant, now_ms, plant

pytestmark = [pytest.mark.broker, pytest.mark.slow, pytest.mark.timeout(180)]

ENTRY = SeriesEntry("queue.depth", MeasureKind.GAUGE, "1", {"queue": "mail"})
RESOURCE = Resource("post", "1", "", "", SourceKind.WEB, {})
EVENTS, BATCHED = 40, 60
ABSENT = 4_000_000


def registered(registry: str, name: str, topic: str = topics.TELEMETRY) -> int:
    """Id of one of our schemas, after it was registered."""
    body = {"schema": (ROOT / "schemas" / "avro" / f"{name}.avsc").read_text("utf-8")}
    request = urllib.request.Request(
        f"{registry}/subjects/{topic}-{name}/versions",
        json.dumps(body).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["id"])


@pytest.fixture(scope="module", name="framed")
def plant_with_registry(registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    with plant(tmp_path_factory.mktemp("framed"), TOCSIN_REGISTRY_URL=registry) as made:
        yield made


def event(sequence: int, at_ms: int, schema_id: int) -> bytes:
    return encode_event(
        ENTRY, RESOURCE, Source("post-1", "boot"), time_ms=at_ms, value=float(sequence), sequence=sequence, outcome=2,
        trace_id=b"", schema_id=schema_id,
    )  # fmt: skip


def test_framed_events_and_batches_are_aggregated(framed: Plant, registry: str) -> None:
    of_event, of_batch = registered(registry, "telemetry_event"), registered(registry, "telemetry_batch")
    at_ms = (now_ms() - 40_000) // 10_000 * 10_000
    producer = Producer({"bootstrap.servers": framed.bootstrap, "acks": "all"})
    for sequence in range(EVENTS):
        producer.produce(topics.TELEMETRY, event(sequence, at_ms + sequence, of_event), b"post-1")
    producer.produce(topics.TELEMETRY, event(EVENTS, at_ms, ABSENT), b"post-1")
    assert producer.flush(30) == 0
    client = framed.client("mill", schema_id=of_batch)
    for number in range(BATCHED):
        client.gauge("mill.speed").set(float(number), time_ms=at_ms + number)
        client.gauge("mill.speed").set(0.0, time_ms=now_ms())  # time moves on, so that the window closes
    assert client.flush(30)

    audit, read = Audit(), 0

    def counts() -> dict[str, int]:
        nonlocal read
        rollups = framed.tap.of(topics.ROLLUPS)
        for entry in rollups[read:]:
            audit.read(topics.ROLLUPS, entry.value)
        read = len(rollups)
        return {series[0]: cell.count for (series, start), cell in audit.found().items() if start == at_ms}

    framed.until("both series", lambda: counts() == {"queue.depth": EVENTS, "mill.speed": BATCHED})
    framed.until("the dead letter", lambda: framed.tap.of(topics.DLQ))
    (letter,) = [entry.record for entry in framed.tap.of(topics.DLQ)]
    assert (letter.reason, letter.byte) == (corrupt.UNKNOWN_SCHEMA, 1)
    assert str(ABSENT) in letter.detail


def test_the_command_line_uses_the_registry_too(framed: Plant) -> None:
    seen = framed.tocsin("tail", topics.TELEMETRY, "-n", "0", "--json")
    rows = [json.loads(line) for line in seen.out.splitlines()]
    metrics = {series["metric"] for row in rows if "value" in row for series in row["value"]["series"]}
    assert metrics == {"queue.depth", "mill.speed"}
    assert [row["unreadable"] for row in rows if "unreadable" in row] == [corrupt.UNKNOWN_SCHEMA]
    assert seen.code == 1
    checks = json.loads(framed.tocsin("doctor", "--json", "--no-probe").out)
    assert {check["status"] for check in checks if check["name"] == "registry"} == {"ok"}
