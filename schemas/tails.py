"""Tails: an event's identity tail to a series definition, in a few microseconds.

What: the tail is metric, kind, unit, labels, resource; its labels are walked here, its resource is recognised by its
bytes, since a source sends the same with every series. Why: a worker that starts or takes over meets a hundred thousand
tails at once, and the strict reader needs many times as long for each. It refuses to judge: a resource counts only when
the strict reader has accepted it, and whatever is not in the plainest form is left to the strict reader, by None.
"""

from __future__ import annotations

from schemas.limits import KNOWN_RESOURCES, LABEL_KEY_CHARS, LABEL_VALUE_CHARS, LABELS, METRIC_CHARS, UNIT_CHARS
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from schemas.telemetry_rows import RESOURCE_LABELS

_KINDS = {2 * kind: kind for kind in MeasureKind}  # by the wire's byte
_Resource = tuple[SourceKind, dict[str, str]]


class TailReader:
    """Keeps the resources that it was told are good."""

    def __init__(self) -> None:
        self._resources: dict[bytes, _Resource] = {}

    def read(self, tail: bytes) -> SeriesDefinition | None:
        """The series of a tail; None when it is not plain or its resource is new."""
        try:
            metric, kind, unit, labels, at = _plain(tail)
        except (IndexError, ValueError, KeyError):
            return None
        resource = self._resources.get(tail[at:])
        if resource is None:
            return None
        source_kind, base = resource
        if base:
            labels = {**base, **labels}
        if not metric or len(metric) > METRIC_CHARS or len(unit) > UNIT_CHARS or len(labels) > LABELS:
            return None
        for key, value in labels.items():
            if len(key) > LABEL_KEY_CHARS or len(value) > LABEL_VALUE_CHARS:
                return None
        return SeriesDefinition(metric, kind, unit, source_kind, labels)

    def learn(self, tail: bytes, definition: SeriesDefinition) -> None:
        """The strict reader has read this tail as `definition`: its resource is good."""
        try:
            _, _, _, own, at = _plain(tail)
        except (IndexError, ValueError, KeyError):
            return
        if own.keys() & set(RESOURCE_LABELS):  # a label of the series hides what the resource says
            return
        if len(self._resources) >= KNOWN_RESOURCES:
            self._resources.clear()
        base = {key: value for key, value in definition.labels.items() if key not in own}
        self._resources[tail[at:]] = definition.source_kind, base


def _plain(tail: bytes) -> tuple[str, MeasureKind, str, dict[str, str], int]:
    """(metric, kind, unit, labels, first byte of the resource). Raises IndexError, ValueError, KeyError when not plain.

    Plain: one block of labels, no label twice, every text below 64 bytes, so that a length is one byte.
    """
    size = tail[0]
    at = 1 + (size >> 1)
    metric = _text(tail, 1, at, size)
    kind = _KINDS[tail[at]]
    size = tail[at + 1]
    start = at + 2
    at = start + (size >> 1)
    unit = _text(tail, start, at, size)
    labels: dict[str, str] = {}
    count = tail[at]
    at += 1
    if count:
        if count & 0x81:
            raise ValueError
        for _ in range(count >> 1):
            size = tail[at]
            start = at + 1
            at = start + (size >> 1)
            key = _text(tail, start, at, size)
            size = tail[at]
            start = at + 1
            at = start + (size >> 1)
            labels[key] = _text(tail, start, at, size)
        if tail[at] or len(labels) != count >> 1:
            raise ValueError
        at += 1
    return metric, kind, unit, labels, at


def _text(tail: bytes, start: int, end: int, size: int) -> str:
    """The text of a length of one byte, which is even and below 128."""
    if size & 0x81 or end > len(tail):
        raise ValueError
    return tail[start:end].decode()
