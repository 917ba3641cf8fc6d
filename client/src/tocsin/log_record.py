"""Log record: what was written or happened, in the form in which it travels.

What: one record or event to Avro bytes, at the call; records to LogBatch batches, later. Why: what is encoded at once has a
known size, so that the bytes that wait are bounded, and nothing of the host's is kept alive. It refuses values that are not
text, numbers or truths (they may hold anything), and cuts what is too long: each is counted in the record itself. The layout
is that of schemas/avro/log_batch.avsc, field by field; a test reads it back with that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tocsin import avro, clock, limits, names
from tocsin.encode import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SCHEMA_FILE = "log_batch.avsc"
#: Single-object encoding: C3 01 and the CRC-64-AVRO of the schema's canonical form. A test holds it against the file.
PREFIX = bytes.fromhex("c301e6d0ed1f9dec6a32")

#: OpenTelemetry's severity numbers, the least of each.
SEVERITIES = {"trace": 1, "debug": 5, "info": 9, "warn": 13, "warning": 13, "error": 17, "critical": 21, "fatal": 21}
SEVERITY_MOST = 24
CUT = "…"  # the end of a text that was longer


def severity(given: object) -> tuple[int, str] | None:
    """(number, text) of a severity's name or number; None for what is neither."""
    if isinstance(given, str):
        number = SEVERITIES.get(given.lower(), 0)
        return (number, given.upper()) if number else None
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given <= SEVERITY_MOST:
        return given, ""
    return None


def encoded(
    time_ms: int,
    observed_ms: int,
    number: int,
    called: str,
    event: str,
    body: str,
    attributes: Mapping[Any, object],
    place: bytes,
    left_out: int,
) -> bytes:
    """One record. `place`: trace id and span id, or a trace id, or nothing. `left_out`: so many attributes by a rule."""
    text, cut = _shortened(body, limits.LOG_BODY_CHARS)
    left_out += cut
    kept: list[bytes] = []
    for key, value in attributes.items():
        told = _told(value)
        if (
            told is None
            or not isinstance(key, str)
            or not 0 < len(key) <= limits.LABEL_KEY_CHARS
            or len(kept) == limits.LOG_ATTRIBUTES
        ):
            left_out += 1
        else:
            short, cut = _shortened(told, limits.LOG_VALUE_CHARS)
            left_out += cut
            kept.append(_text(key) + _text(short))
    return b"".join((
        avro.long(time_ms), avro.long(observed_ms), avro.long(number), avro.text(called), avro.text(event), _text(text),
        avro.array(kept), avro.blob(place[:16]), avro.blob(place[16:24]), avro.long(left_out),
    ))  # fmt: skip


def _told(value: object) -> str | None:
    """A plain value as text; None for any other."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float)) else None


def _shortened(text: str, most: int) -> tuple[str, bool]:
    return (text, False) if len(text) <= most else (text[: most - 1] + CUT, True)


def _text(text: str) -> bytes:
    """A lone surrogate has no form in UTF-8: a question mark stands for it."""
    return avro.blob(text.encode("utf-8", "replace"))


class LogEncoder:
    """Makes batches of encoded records, for one (source, boot). Not thread-safe: the pump owns it."""

    def __init__(self, source: str, service: str, boot: str, resource: bytes) -> None:
        self.boot = boot
        self.key = (service or source).encode()  # one service's records are in order
        self._resource = resource
        self._head = PREFIX + avro.text(source) + avro.text(boot)
        self._sequence = 0

    def encode(self, rows: Sequence[Any], definitions: Sequence[names.Definition]) -> list[Batch]:
        """One batch, or more when the records exceed what one may hold; order is kept. Sequences are given out here."""
        batches: list[Batch] = []
        held: list[bytes] = []
        size = 0
        for row in rows:
            if held and (size + len(row) > limits.LOG_BATCH_BYTES or len(held) == limits.LOG_BATCH_RECORDS):
                batches.append(self._batch(held))
                held, size = [], 0
            held.append(row)
            size += len(row)
        if held:
            batches.append(self._batch(held))
        return batches

    def _batch(self, records: list[bytes]) -> Batch:
        clocks = (self._sequence, clock.wall_ms(), clock.forward_ms())
        self._sequence += 1
        top = self._head + b"".join(map(avro.long, clocks))
        return Batch(clocks[0], len(records), top, self._resource + avro.array(records))
