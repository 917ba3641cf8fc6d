"""Trace: which trace the running code belongs to, so that a page leads to an example of what went wrong.

What: a `traceparent` header of W3C Trace Context read into its trace id; the id that the host has set for the running
task or thread; and that of OpenTelemetry's current span, when the host uses it. Why: an exemplar costs 16 bytes and
saves the search. It refuses to import OpenTelemetry: where the host has not imported it, there is no span either.
"""

from __future__ import annotations

import sys
from _contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

NOWHERE = b""
_OPENTELEMETRY = "opentelemetry.trace"
_HEX = frozenset("0123456789abcdef")

TRACE_BYTES, SPAN_BYTES = 16, 8

_begun = False  # whether the host ever set a trace of its own

#: Trace id and span id, one after the other.
_set: ContextVar[bytes] = ContextVar("tocsin_trace", default=NOWHERE)


def from_traceparent(header: str | bytes | None) -> bytes:
    """The trace id in a `traceparent` header, 16 bytes; empty when there is none that is valid."""
    return place(header)[:TRACE_BYTES]


def place(header: str | bytes | None) -> bytes:
    """Trace id and span id in a `traceparent` header, 24 bytes; empty when there is none that is valid.

    Versions to come may append fields; version ff and an id of zeros are invalid.
    """
    if header is None:
        return NOWHERE
    try:
        text = (header.decode("ascii") if isinstance(header, bytes) else header).strip()
    except UnicodeDecodeError:
        return NOWHERE
    parts = text.split("-")
    if [len(part) for part in parts[:4]] != [2, 32, 16, 2] or not _HEX.issuperset("".join(parts[:4])):
        return NOWHERE
    version, trace, span = parts[:3]
    if version == "ff" or (version == "00" and len(parts) > 4) or not trace.strip("0") or not span.strip("0"):
        return NOWHERE
    return bytes.fromhex(trace + span)


def possible() -> bool:
    """Whether the running code may belong to a trace at all: a host without traces need not be asked for each measurement."""
    return _begun or _OPENTELEMETRY in sys.modules


def current() -> bytes | None:
    """The trace id of the running code, 16 bytes, or None. Never raises."""
    return here()[:TRACE_BYTES] or None


def here() -> bytes:
    """Trace id and span id of the running code, 24 bytes; empty when there are none. Never raises."""
    own = _set.get()
    if own:
        return own
    module: Any = sys.modules.get(_OPENTELEMETRY)
    if module is None:
        return NOWHERE
    try:
        context = module.get_current_span().get_span_context()
        if not context.is_valid:
            return NOWHERE
        return int(context.trace_id).to_bytes(TRACE_BYTES, "big") + int(context.span_id).to_bytes(SPAN_BYTES, "big")
    except Exception:  # noqa: BLE001 - another's code: the host must not notice
        return NOWHERE


class _Within:
    """Sets the trace of a block; may be entered once."""

    def __init__(self, trace: bytes) -> None:
        self._trace = trace

    def __enter__(self) -> None:
        global _begun  # noqa: PLW0603 - it goes one way, once a process
        _begun = _begun or bool(self._trace)
        self._token = _set.set(self._trace)

    def __exit__(self, *unused: object) -> None:
        _set.reset(self._token)


def within_trace(traceparent: str | bytes | None) -> AbstractContextManager[None]:
    """A block whose measurements belong to the trace of that header; an invalid header sets none."""
    return _Within(place(traceparent))
