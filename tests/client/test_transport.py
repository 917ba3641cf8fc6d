"""Transport: addresses, and the transport for tests."""

from __future__ import annotations

import pytest
from tocsin import InvalidOption, MemoryTransport
from tocsin.transport import from_url


@pytest.mark.parametrize("url", ["", "kafka:", "kafka:///topic", "ftp://a:1", "localhost:9092"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(InvalidOption, match="kafka://host:port"):
        from_url(url)


def test_the_default_topic() -> None:
    assert getattr(from_url("kafka://a:1"), "topic", "") == "telemetry"


def test_memory_keeps_what_it_accepts() -> None:
    transport = MemoryTransport()
    results: list[Exception | None] = []
    transport.send(b"k", b"v", results.append)
    transport.answer = TimeoutError("down")
    transport.send(b"k", b"w", results.append)
    assert transport.records == [(b"k", b"v")]
    assert results == [None, transport.answer]
    assert transport.flush(0) == 0
