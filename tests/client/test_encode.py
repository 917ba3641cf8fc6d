"""Encode: batches say exactly what was recorded, within the wire's limits."""

from __future__ import annotations

import io
import json
import random
import zlib
from importlib.resources import files
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from tocsin import avro, clock, limits
from tocsin.encode import PREFIX, SCHEMA_FILE, Batch, Encoder, resource
from tocsin.names import Definition
from tocsin.recorder import Row

from demo.wire import read_batch

RESOURCE = resource("shop", "7", "", "eu", "web", {"host": "h1"})


def definitions(count: int) -> list[Definition]:
    return [("outcome" if i % 2 else "gauge", f"m{i}", "1", (("k", str(i)),)) for i in range(count)]


def encoder(schema_id: int | None = None) -> Encoder:
    return Encoder("web-1", "b00t", RESOURCE, schema_id, clock.Anchor())


def test_a_batch_reads_back_by_the_contract() -> None:
    rows: list[Row] = [(1, 1_000, 2.5, 1, b"\7" * 16), (0, 900, -1.0, 2, b""), (1, 1_100, 0.0, 0, b"")]
    (batch,) = encoder().encode(rows, definitions(2))
    read = read_batch(batch.payload())
    assert (read.source, read.boot, read.sequence, read.source_kind) == ("web-1", "b00t", 0, "web")
    assert [read.identities[i][0] for i in read.series] == ["m1", "m0", "m1"]
    assert read.time_ms.tolist() == [1_000, 900, 1_100]
    assert read.value.tolist() == [2.5, -1.0, 0.0]
    assert read.outcome.tolist() == [1, 2, 0]
    assert dict(read.identities[0][4]) == {"service": "shop", "version": "7", "region": "eu", "k": "1"}


def test_a_batch_reads_back_by_the_schema_file() -> None:
    rows: list[Row] = [(0, 10, 1.0, 2, b""), (0, 12, 2.0, 2, b"\1" * 16)]
    (batch,) = encoder().encode(rows, definitions(1))
    schema = json.loads(files("tocsin").joinpath("_avro", SCHEMA_FILE).read_text())
    whole = io.BytesIO(batch.payload()[10:])
    record: Any = fastavro.schemaless_reader(whole, schema, None)
    assert whole.read() == b"", "nothing is left over"
    assert record["resource"] == {
        "service": "shop", "version": "7", "environment": "", "region": "eu", "source_kind": "web",
        "attributes": {"host": "h1"},
    }  # fmt: skip
    again = io.BytesIO()
    fastavro.schemaless_writer(again, schema, record)
    assert (
        again.getvalue()
        == batch.top[10:] + avro.long(record["sent_wall_ms"]) + avro.long(record["sent_mono_ms"]) + batch.tail
    )
    columns = record["series_index"] + record["delta_ms"] + record["values"] + record["outcomes"]
    assert record["crc32"] == zlib.crc32(columns)
    assert record["outcomes"] == b""
    assert record["exemplars"] == [{"row": 1, "trace_id": b"\1" * 16}]
    assert record["sent_mono_ms"] >= record["created_mono_ms"]


def test_the_prefix_is_the_schemas_fingerprint() -> None:
    definition = json.loads(files("tocsin").joinpath("_avro", SCHEMA_FILE).read_text())
    print_of_it = fingerprint(to_parsing_canonical_form(definition), "CRC-64-AVRO")
    assert b"\xc3\x01" + bytes.fromhex(print_of_it) == PREFIX


def test_a_batch_of_an_earlier_run_of_the_machine_knows_no_forward_clock() -> None:
    (batch,) = encoder().encode([(0, 1, 1.0, 2, b"")], definitions(1))
    old = Batch(batch.sequence, batch.rows, batch.top, batch.tail, here=False)
    schema = json.loads(files("tocsin").joinpath("_avro", SCHEMA_FILE).read_text())
    record: Any = fastavro.schemaless_reader(io.BytesIO(old.payload()[10:]), schema, None)
    assert record["sent_mono_ms"] == 0
    assert record["created_mono_ms"] > 0
    assert record["sent_wall_ms"] >= record["created_wall_ms"]


def test_framing_by_registry_id() -> None:
    (batch,) = encoder(schema_id=258).encode([(0, 1, 1.0, 2, b"")], definitions(1))
    assert batch.payload()[:5] == b"\x00\x00\x00\x01\x02"


def test_a_second_try_has_the_same_ids_and_content() -> None:
    (batch,) = encoder().encode([(0, 1, 1.0, 2, b"")], definitions(1))
    first, second = read_batch(batch.payload()), read_batch(batch.payload())
    assert (first.boot, first.sequence) == (second.boot, second.sequence)
    assert first.event_id.tolist() == second.event_id.tolist()


def test_too_many_series_are_split_in_order() -> None:
    count = limits.BATCH_SERIES + 1
    rows: list[Row] = [(i, i, float(i), 2, b"") for i in range(count)]
    batches = encoder().encode(rows, definitions(count))
    reads = [read_batch(batch.payload()) for batch in batches]
    assert [read.sequence for read in reads] == list(range(len(reads)))
    assert all(len(read.identities) <= limits.BATCH_SERIES for read in reads)
    assert [value for read in reads for value in read.value.tolist()] == [float(i) for i in range(count)]


def test_times_too_far_apart_are_split() -> None:
    rows: list[Row] = [(0, 0, 1.0, 2, b""), (0, limits.DELTA_BOUND_MS + 1, 2.0, 2, b"")]
    batches = encoder().encode(rows, definitions(1))
    assert [read_batch(batch.payload()).time_ms.tolist() for batch in batches] == [[0], [limits.DELTA_BOUND_MS + 1]]


def test_a_batch_never_exceeds_a_record() -> None:
    long = "ü" * limits.LABEL_VALUE_CHARS
    wide: list[Definition] = [
        ("gauge", f"m{i}", "1", tuple((f"k{j}", long) for j in range(limits.LABELS)))
        for i in range(limits.BATCH_SERIES)
    ]
    rows: list[Row] = [(i % limits.BATCH_SERIES, i, 1.0, 2, b"") for i in range(limits.BATCH_MEASUREMENTS)]
    batches = encoder().encode(rows, wide)
    assert len(batches) > 1
    assert all(len(batch.payload()) <= limits.RECORD_BYTES for batch in batches)
    assert sum(batch.rows for batch in batches) == len(rows)


def test_the_series_table_stays_the_same_while_it_is_small() -> None:
    made = encoder()
    (first,) = made.encode([(0, 1, 1.0, 2, b""), (1, 1, 1.0, 1, b"")], definitions(2))
    (second,) = made.encode([(1, 2, 1.0, 1, b"")], definitions(2))
    assert read_batch(first.payload()).identities == read_batch(second.payload()).identities


@pytest.mark.parametrize("seed", range(5))
def test_random_rows_come_back(seed: int) -> None:
    draw = random.Random(seed)
    rows: list[Row] = [
        (draw.randrange(200), draw.randrange(10**12), draw.uniform(-1e9, 1e9), draw.randrange(3), b"")
        for _ in range(draw.randrange(1, 3000))
    ]
    known = definitions(200)
    back: list[tuple[str, int, float, int]] = []
    for batch in encoder().encode(rows, known):
        read = read_batch(batch.payload())
        names = [identity[0] for identity in read.identities]
        back += zip(
            (names[i] for i in read.series),
            read.time_ms.tolist(),
            read.value.tolist(),
            read.outcome.tolist(),
            strict=True,
        )
    assert back == [(known[row[0]][1], row[1], row[2], row[3]) for row in rows]


def test_the_bundled_schemas_are_the_platforms() -> None:
    platform = Path(__file__).parents[2] / "schemas" / "avro"
    bundled = files("tocsin").joinpath("_avro")
    names = sorted(path.name for path in platform.glob("*.avsc"))
    assert SCHEMA_FILE in names
    for name in names:
        assert bundled.joinpath(name).read_bytes() == (platform / name).read_bytes()
