"""Trace: headers by the W3C text, the host's own setting, and OpenTelemetry's current span."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from tocsin import Client, MemoryTransport, trace, within_trace

from tests.client.read import exemplars

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADER = f"00-{ID}-00f067aa0ba902b7-01"


@pytest.mark.parametrize("header", [HEADER, HEADER.encode(), f" {HEADER} ", f"01-{ID}-00f067aa0ba902b7-01-more"])
def test_a_header_names_its_trace(header: str) -> None:
    assert trace.from_traceparent(header) == bytes.fromhex(ID)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{ID}-00f067aa0ba902b7-01",
        f"00-{ID}-00f067aa0ba902b7-01-more",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{ID}-{'0' * 16}-01",
        f"00-{ID.upper()}-00f067aa0ba902b7-01",
        f"00-{ID[:-1]}-00f067aa0ba902b7-01",
        f"00-{ID[:-1]}g-00f067aa0ba902b7-01",
        b"\xff" * 55,
        "٣" * 55,
    ],
)
def test_an_invalid_header_names_none(header: str | bytes | None) -> None:
    assert trace.from_traceparent(header) == b""


def test_what_goes_wrong_takes_the_current_trace() -> None:
    transport = MemoryTransport()
    with Client(source="s", service="x", kind="web", transport=transport, flush_interval=3600) as made:
        outcome = made.outcome("o")
        with within_trace(HEADER):
            outcome.observe(True, 1.0)
            outcome.observe(False, 2.0)
            with within_trace("nonsense"):
                outcome.observe(False, 3.0)
        outcome.observe(False, 4.0)
        outcome.observe(False, 5.0, "ab" * 16)
    assert exemplars(transport.records[0][1]) == {1: bytes.fromhex(ID), 4: b"\xab" * 16}


def test_the_highest_value_of_a_turn_takes_the_current_trace() -> None:
    """The one that a page asks for; all of them would be most of what is sent."""
    transport = MemoryTransport()
    with Client(source="s", service="x", transport=transport, flush_interval=3600, report=False) as made:
        histogram, outcome = made.histogram("h"), made.outcome("o")
        for turn in range(3):
            with within_trace(HEADER):
                for value in (1.0, 3.0, 2.0, 3.0, 3.5):
                    histogram.record(value)
                for value in (7.0, 6.0, 8.0):
                    outcome.observe(True, value)
                outcome.observe(False, 1.0)
            histogram.record(9.0 + turn)
            assert made.flush(5)
    found = [exemplars(value) for _, value in transport.records]
    assert found[1:] == [dict.fromkeys([0, 1, 4, 5, 7, 8], bytes.fromhex(ID))] * 2, (
        "from the turn after the first trace"
    )


def test_a_host_without_traces_is_asked_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "_begun", False)
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)
    monkeypatch.setattr(trace, "current", lambda: pytest.fail("asked"))
    with Client(source="s", service="x", transport=MemoryTransport(), flush_interval=3600, report=False) as made:
        for _ in range(2):
            made.histogram("h").record(1.0)
            made.outcome("o").observe(True, 1.0)
            assert made.flush(5)


async def test_tasks_have_traces_of_their_own() -> None:
    async def one(header: str) -> bytes | None:
        with within_trace(header):
            await asyncio.sleep(0)
            return trace.current()

    other = HEADER.replace("4bf9", "5bf9")
    assert await asyncio.gather(one(HEADER), one(other)) == [trace.from_traceparent(h) for h in (HEADER, other)]
    assert trace.current() is None


def test_opentelemetrys_current_span_is_asked_where_the_host_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sdk: Any = pytest.importorskip("opentelemetry.sdk.trace")
    assert trace.possible()
    with sdk.TracerProvider().get_tracer("test").start_as_current_span("span") as span:
        context = span.get_span_context()
        assert trace.current() == context.trace_id.to_bytes(16, "big")
        assert trace.here() == context.trace_id.to_bytes(16, "big") + context.span_id.to_bytes(8, "big")
        with within_trace(HEADER):
            assert trace.current() == bytes.fromhex(ID), "the host's own word goes first"
        monkeypatch.setattr("opentelemetry.trace.get_current_span", None)
        assert trace.current() is None, "a fault of others is not the host's"
        monkeypatch.undo()
    assert trace.current() is None
