"""Trace: headers by the W3C text, the host's own setting, and OpenTelemetry's current span."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
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


async def test_tasks_have_traces_of_their_own() -> None:
    async def one(header: str) -> bytes | None:
        with within_trace(header):
            await asyncio.sleep(0)
            return trace.current()

    other = HEADER.replace("4bf9", "5bf9")
    assert await asyncio.gather(one(HEADER), one(other)) == [trace.from_traceparent(h) for h in (HEADER, other)]
    assert trace.current() is None


def test_opentelemetrys_current_span_is_asked_where_the_host_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(is_valid=True, trace_id=int(ID, 16), span_id=7)
    module: Any = SimpleNamespace(get_current_span=lambda: SimpleNamespace(get_span_context=lambda: context))
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)
    assert trace.current() == bytes.fromhex(ID)
    assert trace.here() == bytes.fromhex(ID) + bytes(7) + b"\x07"
    context.is_valid = False
    assert trace.current() is None
    module.get_current_span = None
    assert trace.current() is None, "a fault of others is not the host's"
