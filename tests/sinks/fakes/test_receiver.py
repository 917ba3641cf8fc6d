"""The server under both fakes: arrivals, faults, and an end that leaves nothing open."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.parse
from collections.abc import Iterator

import pytest

from sinks.fakes.receiver import Fault, Receiver, Reply, serving


class Echo(Receiver):
    path = "/echo"

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def reply(self, path: str, body: bytes, at_ms: int) -> Reply:
        self.seen += 1
        return Reply(200, {"seen": self.seen})


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        yield server


def post(server: Receiver, body: bytes = b"{}", timeout: float = 5.0) -> int:
    parts = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("POST", parts.path, body)
        with connection.getresponse() as answer:
            answer.read()
            return answer.status
    finally:
        connection.close()


def test_each_arrival_is_noted_with_time_and_body(echo: Echo) -> None:
    echo.clock_ms = lambda: 42
    assert post(echo, b'{"a": 1}') == 200
    (arrival,) = echo.log()
    assert (arrival.at_ms, arrival.path, arrival.fields, arrival.status, arrival.taken) == (
        42,
        "/echo",
        {"a": 1},
        200,
        True,
    )


def test_faults_come_in_order_and_then_end(echo: Echo) -> None:
    echo.fails(Fault(503), Fault(500, taking=True), Fault(429, headers={"Retry-After": "3"}))
    assert [post(echo) for _ in range(4)] == [503, 500, 429, 200]
    assert [arrival.taken for arrival in echo.log()] == [False, True, False, True]
    assert echo.seen == 2


def test_a_standing_fault_stays(echo: Echo) -> None:
    echo.stays(Fault(500))
    assert [post(echo) for _ in range(3)] == [500] * 3
    echo.stays(None)
    assert post(echo) == 200


def test_hanging_up(echo: Echo) -> None:
    echo.fails(Fault(0))
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        post(echo)


def test_a_body_that_is_too_large_is_refused(echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.limits.FAKE_BODY_BYTES_MAX", 10)
    assert post(echo, b"x" * 11) == 413
    assert echo.log() == []


def test_stopping_does_not_wait_for_a_slow_answer() -> None:
    with serving(Echo()):
        pass
    server = Echo().start()
    server.fails(Fault(200, delay_s=30.0))
    failed: list[Exception] = []

    def ask() -> None:
        try:
            post(server)
        except (OSError, http.client.HTTPException) as error:
            failed.append(error)

    sender = threading.Thread(target=ask)
    sender.start()
    while not server.log():
        time.sleep(0.01)
    began = time.monotonic()
    server.stop()
    sender.join(5)
    assert not sender.is_alive()
    assert time.monotonic() - began < 3
