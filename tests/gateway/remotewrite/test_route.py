"""Remote write: both versions, counters counted once, hostile bytes, and a real Prometheus where it is installed."""

from __future__ import annotations

import asyncio
import math
import shutil
import struct
import subprocess
import time

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.accesslog import AccessLog
from gateway.cumulative import Streams
from gateway.door import Door, Route, anybody
from gateway.identity import ANYBODY
from gateway.intake import Intake
from gateway.limits import LARGE_BYTES, SERIES_BYTES, SERIES_PIECE
from gateway.memory import Budget
from gateway.refusal import Refusal, busy
from gateway.remotewrite import wire
from gateway.remotewrite.convert import converted
from gateway.remotewrite.route import PATH, V2, Write
from gateway.remotewrite.wire import pieces, read_v1, read_v2, together
from gateway.verdicts import read
from schemas.records import MeasureKind
from tests.gateway.making import listening, send, until
from tests.gateway.test_intake import Kept

V1_TYPE, V2_TYPE = "application/x-protobuf", f"application/x-protobuf;proto={V2}"


def varint(number: int) -> bytes:
    number %= 1 << 64
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(out) + bytes((number,))


def field(number: int, value: float | str | bytes) -> bytes:
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def v1(*series: tuple[dict, list[tuple[float, int]]], extra: bytes = b"") -> bytes:
    out = b""
    for labels, samples in series:
        one = b"".join(field(1, field(1, key) + field(2, text)) for key, text in labels.items())
        out += field(1, one + b"".join(field(2, field(1, value) + field(2, at)) for value, at in samples))
    return out + extra


def v2(*series: tuple[dict, int, list[tuple[float, int, int]]]) -> bytes:
    symbols, out = [""], b""
    for labels, kind, samples in series:
        refs = b""
        for text in (text for pair in labels.items() for text in pair):
            if text not in symbols:
                symbols.append(text)
            refs += varint(symbols.index(text))
        one = field(1, refs) + field(5, field(1, kind))
        out += field(
            5, one + b"".join(field(2, field(1, v) + field(2, at) + field(3, start)) for v, at, start in samples)
        )
    return b"".join(field(4, symbol) for symbol in symbols) + out


def named(name: str, **labels: str) -> dict:
    return {"__name__": name, "instance": "host-1:9100", "job": "node"} | labels


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
async def url(kept, large):
    route = Route("POST", Write(Intake(kept), Budget(64 << 20), large))
    async with listening(Door({PATH: route}, anybody, AccessLog("none"))) as (host, port, _):
        yield f"http://{host}:{port}{PATH}"


async def write(url, body: bytes, kind: str = V1_TYPE):
    return await send(url, bytes(cramjam.snappy.compress_raw(body)), kind, Content_Encoding="snappy")


def rows(kept) -> list[tuple[str, MeasureKind, float, int]]:
    found = []
    for _, value, _ in kept.records:
        row = read(value)
        for at, number, when in zip(row.series, row.value, row.time_ms, strict=True):
            definition = row.definitions[at]
            found.append((definition.metric, definition.kind, float(number), int(when)))
    return found


async def test_gauges_and_counters_of_version_1(url, kept):
    total, level = named("requests_total", code="200"), named("temperature")
    assert (await write(url, v1((level, [(20.5, 1_000)]), (total, [(5.0, 1_000), (8.0, 2_000)])))).status == 204
    assert (await write(url, v1((total, [(8.0, 2_000), (2.0, 3_000), (6.0, 4_000)])))).status == 204
    assert rows(kept) == [
        ("temperature", MeasureKind.GAUGE, 20.5, 1_000),
        ("requests_total", MeasureKind.COUNTER, 3.0, 2_000),
        ("requests_total", MeasureKind.COUNTER, 2.0, 3_000),
        ("requests_total", MeasureKind.COUNTER, 4.0, 4_000),
    ], "the first sample is where counting begins, a fall is a reset, a repeat is nothing"
    assert {key for key, _, _ in kept.records} == {b"host-1:9100"}


async def test_metadata_tells_what_the_name_does_not(url, kept):
    told = b"".join(field(3, field(1, kind) + field(2, family)) for family, kind in (("hits", 1), ("pool_count", 2)))
    assert (await write(url, v1(extra=told))).status == 204
    await write(url, v1((named("hits"), [(1.0, 1_000), (4.0, 2_000)]), (named("pool_count"), [(7.0, 1_000)])))
    assert [row[:3] for row in rows(kept)] == [
        ("hits", MeasureKind.COUNTER, 3.0), ("pool_count", MeasureKind.GAUGE, 7.0)
    ]  # fmt: skip


async def test_version_2_tells_types_and_starts(url, kept):
    now = int(time.time() * 1000)
    body = v2((named("hits"), 1, [(4.0, now + 100, now + 50)]), (named("level"), 2, [(1.5, now, 0)]))
    got = await write(url, body, V2_TYPE)
    assert got.status == 204
    assert got.headers["X-Prometheus-Remote-Write-Samples-Written"] == "2"
    assert sorted(row[:3] for row in rows(kept)) == [
        ("hits", MeasureKind.COUNTER, 4.0), ("level", MeasureKind.GAUGE, 1.5)
    ]  # fmt: skip


async def test_version_2_is_told_how_much_of_it_was_written(url, kept):
    """A sender takes what is missing from these counts for lost, so what they count must be what it counts."""
    good, nobody = (named("level"), 2, [(1.5, 1_000, 0), (2.5, 2_000, 0)]), ({"__name__": "x"}, 2, [(1.0, 1_000, 0)])
    native = field(5, varint(1 << 3 | 2) + varint(6) + bytes(range(1, 7)) + field(3, b"") * 5)
    got = await write(url, v2(good, nobody) + native, V2_TYPE)
    assert got.status == 400, "of which the sender repeats nothing"
    assert "native histograms are not taken: send classic ones (5)" in got.json()["detail"]
    assert [got.headers[f"X-Prometheus-Remote-Write-{what}-Written"] for what in ("Samples", "Histograms", "Exemplars")] == [
        "2", "0", "0"
    ]  # fmt: skip
    assert len(kept.records) == 1


async def test_good_samples_are_stored_and_bad_ones_told(url, kept):
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    got = await write(
        url,
        v1(
            (named("level"), [(1.0, 1_000), (math.inf, 2_000), (math.nan, 3_000), (stale, 4_000), (2.0, -1)]),
            ({"__name__": "nobody"}, [(1.0, 1_000)]),
            (named("long", x="v" * 300), [(1.0, 1_000)]),
        ),
    )
    assert got.status == 400
    assert "names no source" in got.json()["detail"]
    below = await write(url, v1((named("requests_total"), [(-5.0, 1_000)])))
    assert (below.status, below.json()["detail"]) == (400, "a counter is below zero (1)")
    assert [row[2] for row in rows(kept)] == [1.0]


async def test_a_failure_is_made_up_for(url, kept):
    total = named("requests_total")
    await write(url, v1((total, [(5.0, 1_000)])))
    kept.error = busy("broker", "away")
    assert (await write(url, v1((total, [(7.0, 2_000)])))).status == 503
    kept.error = None
    assert (await write(url, v1((total, [(7.0, 2_000)])))).status == 204
    assert [row[2] for row in rows(kept)] == [2.0]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"\xff", V1_TYPE, 400),
        (b"\xff", V2_TYPE, 400),
        (b"", "application/json", 415),
        (b"", V1_TYPE + ";proto=x", 415),
    ],
)
async def test_requests_that_are_refused_as_a_whole(url, body, kind, status):
    assert (await write(url, body, kind)).status == status


async def test_what_is_not_snappy(url):
    assert (await send(url, b"\xff\xff\xff\xff\xff\xff", V1_TYPE)).status == 400
    assert (await send(url, b"\xff\xff\xff\xff\x0f", V1_TYPE)).status == 413, "it declares four gigabytes"


@pytest.mark.parametrize(
    ("form", "kind"),
    [(v1, V1_TYPE), (lambda *s: v2(*((a, 1, [(v, t, 0) for v, t in b]) for a, b in s)), V2_TYPE)],
    ids=["1", "2"],
)
async def test_a_large_request_is_read_beside_the_loop_and_counted_the_same(url, kept, large, form, kind):
    def body(value: float, at: int) -> bytes:
        return form(*((named("requests_total", route=f"/{n}"), [(value + n, at)]) for n in range(1_000)))

    assert len(body(1.0, 1_000)) > LARGE_BYTES
    for value, at in ((1.0, 1_000), (5.0, 2_000), (5.0, 2_000)):
        assert (await write(url, body(value, at), kind)).status == 204
    assert large._idle, "a process has read it"
    found = rows(kept)
    assert len(found) == 1_000
    assert {row[2] for row in found} == {4.0}


@pytest.mark.parametrize(
    ("read", "body", "why"),
    [
        (read_v1, b"\x0a\x00" * 1_001, "more than 1000 series"),
        (read_v1, field(1, b"\x12\x00" * 1_001), "more than 1000 series"),
        (read_v2, b"\x22\x00" + b"\x2a\x00" * 1_001, "more than 1000 series"),
        (read_v2, b"\x22\x00" * 1_001, "more than 1000 series"),
        (read_v1, field(1, b"\x12\x00" * SERIES_BYTES), "one series of"),
        (read_v2, field(4, b"") + field(5, b"\x12\x00" * SERIES_BYTES), "one series of"),
    ],
    ids=["series of 1", "samples of 1", "series of 2", "symbols", "bytes of 1", "bytes of 2"],
)
def test_more_elements_than_anybody_means_are_refused(read, body, why, monkeypatch):
    monkeypatch.setattr(wire, "ELEMENTS", 1_000)
    with pytest.raises(Refusal, match=why) as caught:
        read(body)
    assert caught.value.status == 413


def test_a_request_in_pieces_is_the_same_request():
    told = field(3, field(1, 1) + field(2, "hits"))
    body = v1(*((named("hits", n=str(n)), [(1.0, 1_000)]) for n in range(SERIES_PIECE * 2 + 1)), extra=told)
    cut = list(pieces(body, read_v1))
    assert [len(one.series) for one in cut] == [0, SERIES_PIECE, SERIES_PIECE, 1]
    assert together(cut) == read_v1(body)


@given(st.binary(max_size=200), st.integers(0, 100))
@settings(max_examples=300, deadline=None)
def test_hostile_bytes(noise, keep):
    good1 = v1((named("a_total"), [(1.0, 1_000)]))
    good2 = v2((named("a_total"), 1, [(1.0, 1_000, 0)]))
    for reader, good in ((read_v1, good1), (read_v2, good2)):
        for body in (noise, good[:keep] + noise, good + noise):
            try:
                found = reader(body)
            except Refusal as no:
                assert no.status == 400  # noqa: PT017  # both ways are fine
                continue
            asyncio.run(converted(found, ANYBODY, Streams(0), {}))


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: ops/scripts/debian-prometheus")
async def test_a_real_prometheus(url, kept, tmp_path):
    """It scrapes a page of ours and writes what it saw; the numbers arrive."""
    pages = iter([f"hits_total {number}\nlevel {number}\n" for number in (10, 13, 13, 20)])
    shown = []

    async def page(request):
        from aiohttp import web

        shown.append(next(pages, None) or shown[-1])
        return web.Response(text=f"# TYPE hits_total counter\n# TYPE level gauge\n{shown[-1]}")

    async with listening(page) as (host, port, _):
        config = tmp_path / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: 1s}}\n"
            f"scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{host}:{port}']}}]}}]\n"
            f"remote_write: [{{url: '{url}', queue_config: {{batch_send_deadline: 1s}}}}]\n",
            encoding="utf-8",
        )
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path}/data",
            "--web.listen-address=127.0.0.1:0",
        ]
        process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
        try:
            await until(lambda: any(row[0] == "level" and row[2] == 20.0 for row in rows(kept)), 60)
        finally:
            process.terminate()
            await process.wait()
    found = rows(kept)
    assert sum(row[2] for row in found if row[0] == "hits_total") == 10.0, "from 10 to 20"
    assert {row[1] for row in found if row[0] == "hits_total"} == {MeasureKind.COUNTER}
    assert {key for key, _, _ in kept.records} == {f"{host}:{port}".encode()}
