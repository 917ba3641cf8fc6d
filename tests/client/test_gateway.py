"""Gateway transport: exactly once into the store behind it, whatever the way there and back does."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tocsin import Client, InvalidOption, limits
from tocsin.gateway import GatewayTransport, parsed

from tests.client.fake_gateway import POISON, UNBEARABLE, Gateway, serving


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_FIRST", 0.01)


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server of 127.0.0.1 and a client, by the system's openssl."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=60)

    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    openssl("req", "-x509", *curve, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem")
    for name in ("server", "client"):
        named = ("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        openssl("req", "-x509", *curve, *named, "-addext", "basicConstraints=critical,CA:FALSE", *signed)
    return folder


def client(url: str, **options: object) -> Client:
    settled: dict[str, object] = {"flush_interval": 3600, "report": False, **options}
    return Client(source="s", service="x", kind="web", transport=url, **settled)  # type: ignore[arg-type]


def test_what_is_recorded_is_stored(gateway: Gateway) -> None:
    with client(f"{gateway.url}/base/", batch_size=10) as made:
        gauge = made.gauge("g")
        for value in range(500):
            gauge.set(float(value))
        assert made.flush(20)
        assert made.stats.delivered == 500
    assert gateway.values == [float(value) for value in range(500)]
    assert set(gateway.paths) == {"/base/v1/telemetry"}
    assert gateway.encodings == {"gzip": len(gateway.paths)}
    assert max(gateway.requests) > 1, "several batches a request"


@pytest.mark.parametrize("fault", ["lost", "cut", "short", "garbage", "500", "502", "404", "301", "401", "403", "some"])
def test_a_fault_costs_nothing_and_repeats_nothing(gateway: Gateway, fault: str) -> None:
    gateway.script = ["ok", fault, fault, "ok"]
    with client(gateway.url, batch_size=4) as made:
        gauge = made.gauge("g")
        for value in range(12):
            gauge.set(float(value))
            made.flush(0)
        assert made.flush(20), made.stats
        assert made.stats.delivered == 12
        assert made.stats.rejected == {}
    assert sorted(gateway.values) == [float(value) for value in range(12)]


@pytest.mark.parametrize("status", ["429", "503"])
def test_a_gateway_says_when_to_come_again(gateway: Gateway, status: str) -> None:
    gateway.script = [status]
    with client(gateway.url) as made:
        made.gauge("g").set(1.0)
        made.flush(0)
        began = time.monotonic()
        assert made.flush(20)
        assert time.monotonic() - began >= 0.7
    assert gateway.statuses == [int(status), 200]


def test_it_cannot_silence_us_for_ever(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RETRY_AFTER_MOST", 0.2)
    gateway.script, gateway.retry_after = ["503"], "999999999"
    with client(gateway.url) as made:
        made.gauge("g").set(1.0)
        assert made.flush(10)


def test_one_bad_batch_costs_itself_only(gateway: Gateway) -> None:
    with client(gateway.url, batch_size=1) as made:
        gauge = made.gauge("g")
        for value in (1.0, POISON, 2.0, UNBEARABLE, 3.0):
            gauge.set(value)
        assert made.flush(20)
        assert made.stats.rejected == {"poison": 1, "http_400": 1}
        assert made.stats.delivered == 3
    assert sorted(gateway.values) == [1.0, 2.0, 3.0]


def test_many_faults_in_any_order_and_every_value_once(gateway: Gateway) -> None:
    chance = random.Random(3)
    faults = ["ok", "lost", "cut", "short", "garbage", "500", "some"]
    gateway.script = chance.choices(faults, k=60)
    gateway.retry_after = "0"
    with client(gateway.url, batch_size=3) as made:
        gauge = made.gauge("g")
        for value in range(300):
            gauge.set(float(value))
            if value % 10 == 0:
                made.flush(0)
        assert made.flush(60), made.stats
    assert sorted(gateway.values) == [float(value) for value in range(300)]


def test_a_token_goes_along_and_never_in_the_clear(gateway: Gateway) -> None:
    with client(gateway.url, token="s3cret") as made:
        made.gauge("g").set(1.0)
        assert made.flush(10)
        assert "s3cret" not in repr(made.stats)
    assert gateway.tokens == {"Bearer s3cret"}
    with pytest.raises(InvalidOption, match="https") as found:
        client("http://gateway.example", token="s3cret")
    assert "s3cret" not in str(found.value)


def test_a_gateway_that_does_not_answer_neither_blocks_nor_holds_up_the_end() -> None:
    """A listener that takes connections and says nothing, and one that says one byte."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = client(f"http://127.0.0.1:{listener.getsockname()[1]}")
        gauge = made.gauge("g")
        gauge.set(1.0)
        began = time.monotonic()
        assert not made.flush(0.3)
        gauge.set(2.0)
        assert not made.close(0.5)
        assert time.monotonic() - began < 2.5
        assert made.stats.given_up == 2


def test_memory_is_bounded_while_a_gateway_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REQUEST_BYTES", 2_000)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = client(f"http://127.0.0.1:{listener.getsockname()[1]}", batch_size=50, buffer_measurements=2_000)
        gauge = made.gauge("g")
        for value in range(5_000):
            gauge.set(float(value))
            if value % 50 == 0:
                made.flush(0)
        assert isinstance(made._transport, GatewayTransport)
        assert made._transport._open_bytes <= 8_000
        assert made.stats.refused["full"] == 3_000
        made.close(0.1)


@pytest.mark.parametrize(
    "url",
    ["http://", "https:///x", "http://user:pw@host", "http://host/?key=1", "http://host:port", "http://host/#x"],
)
def test_addresses_that_are_none_are_errors_at_once(url: str) -> None:
    with pytest.raises(InvalidOption):
        parsed(url)


@pytest.mark.parametrize("options", [{"token": "a\r\nX: y"}, {"ca_file": "/nowhere.pem"}, {"key_file": "k.pem"}])
def test_options_that_cannot_be_are_errors_at_once(options: dict[str, str]) -> None:
    with pytest.raises(InvalidOption):
        client("https://gateway.example", **options)


def test_a_certificate_of_a_stranger_is_refused_and_ours_is_shown(certificates: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ours = {"cert_file": str(certificates / "client.pem"), "key_file": str(certificates / "client.key")}
    with serving(context) as gateway:
        stranger = client(gateway.url, **ours)
        stranger.gauge("g").set(1.0)
        assert not stranger.flush(0.5)
        assert "certificate verify failed" in stranger._transport.trouble  # type: ignore[attr-defined]
        stranger.close(0.1)
        nameless = client(gateway.url, ca_file=str(certificates / "ca.pem"))
        nameless.gauge("g").set(2.0)
        assert not nameless.flush(0.5)
        nameless.close(0.1)
        with client(gateway.url, ca_file=str(certificates / "ca.pem"), **ours) as known:
            known.gauge("g").set(3.0)
            assert known.flush(10)
        assert gateway.values == [3.0]


def sent_by_two(made: GatewayTransport) -> list[Exception | None]:
    """The results of two records that two threads send at once, as the pumps of telemetry and logs do."""
    results: list[Exception | None] = []
    threads = [threading.Thread(target=made.send, args=(b"s", b"x", results.append)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert made.flush(20) == 0
    return results


def test_two_pumps_that_begin_at_once_share_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads over one connection take each other's answers."""
    made = GatewayTransport("http://127.0.0.1:1")
    both, begun = threading.Barrier(2), []

    class Watched(threading.Thread):
        def __init__(self, **options: Any) -> None:
            begun.append(self)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.3)  # whoever comes here beside another has not seen it
            super().__init__(**options)

    monkeypatch.setattr("tocsin.gateway.Thread", Watched)
    assert len(sent_by_two(made)) == 2
    assert len(begun) == 1
    made.close()


def test_where_no_thread_can_begin_one_sends_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unstartable(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't start new thread at interpreter shutdown")

    made = GatewayTransport("http://127.0.0.1:1")
    both, beside = threading.Barrier(2), []

    def exchange(values: list[bytes]) -> list[Exception | None]:
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.3)
            beside.append(values)
        return [None] * len(values)

    monkeypatch.setattr("tocsin.gateway.Thread", Unstartable)
    monkeypatch.setattr(made, "_exchange", exchange)
    assert sent_by_two(made) == [None, None]
    assert not beside
    made.close()


def test_a_child_has_a_connection_of_its_own(gateway: Gateway) -> None:
    with client(gateway.url) as made:
        gauge = made.gauge("g")
        gauge.set(1.0)
        assert made.flush(10)
        child = os.fork()
        if child == 0:
            gauge.set(2.0)
            os._exit(0 if made.flush(10) else 1)
        assert os.waitpid(child, 0)[1] == 0
        gauge.set(3.0)
        assert made.flush(10)
    assert sorted(gateway.values) == [1.0, 2.0, 3.0]
    assert threading.active_count() < 50
