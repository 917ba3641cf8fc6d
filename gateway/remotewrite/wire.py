"""Wire: remote write's messages, read field by field.

What: both versions' requests to the same series with labels, type and samples. Why without
generated code: see `schemas.protobuf`. It refuses with 400 what is not such a message; unknown fields are skipped, as protobuf
asks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from gateway.limits import ELEMENTS, SERIES_BYTES, SERIES_PIECE
from gateway.refusal import Refusal, bad, too_large
from schemas.protobuf import Value, double, fields, octets, packed, signed, text, whole

_TYPES: Final = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")


@dataclasses.dataclass(slots=True)
class Written:
    """One series: labels (`__name__` is the metric's), type where it is told, samples as (value, ms, start ms)."""

    labels: dict[str, str]
    kind: str = "unknown"
    unit: str = ""
    samples: list[tuple[float, int, int]] = dataclasses.field(default_factory=list)
    histograms: int = 0
    exemplars: int = 0


@dataclasses.dataclass(slots=True)
class Request:
    """Series, and types by metric family where they come by themselves (1.0)."""

    series: list[Written]
    kinds: Mapping[str, str]


def pieces(body: bytes, read: Callable[[bytes], Request]) -> Iterator[Request]:
    """A request in pieces that are small enough to be handed over one by one. Raises Refusal."""
    found = read(body)
    yield Request([], found.kinds)
    for at in range(0, len(found.series), SERIES_PIECE):
        yield Request(found.series[at : at + SERIES_PIECE], {})


def together(parts: list[Request]) -> Request:
    """Inverse of `pieces`."""
    return Request([one for part in parts for one in part.series], parts[0].kinds)


def read_v1(body: bytes) -> Request:
    """A prometheus.WriteRequest. Raises Refusal."""
    try:
        found: list[Written] = []
        kinds: dict[str, str] = {}
        left = ELEMENTS
        for number, value in fields(memoryview(body)):
            left -= 1
            if number == 1:
                found.append(_series_v1(octets(value)))
                left -= _elements(found[-1])
            elif number == 3:
                about = dict(fields(octets(value)))
                kinds[text(about.get(2, b""))] = _type(about.get(1, 0))
            if left < 0:
                raise _too_many()
        return Request(found, kinds)
    except (ValueError, IndexError) as error:
        raise bad("remote_write", "not a prometheus.WriteRequest") from error


def read_v2(body: bytes) -> Request:
    """An io.prometheus.write.v2.Request. Raises Refusal."""
    try:
        symbols: list[str] = []
        raw: list[memoryview] = []
        for number, value in fields(memoryview(body)):
            if number == 4:
                symbols.append(text(value))
            elif number == 5:
                raw.append(octets(value))
            if len(symbols) + len(raw) > ELEMENTS:
                raise _too_many()
        if symbols and symbols[0]:
            raise ValueError("the first symbol is the empty one")
        found: list[Written] = []
        left = ELEMENTS
        for one in raw:
            found.append(_series_v2(one, symbols))
            left -= 1 + _elements(found[-1])
            if left < 0:
                raise _too_many()
        return Request(found, {})
    except (ValueError, IndexError) as error:
        raise bad("remote_write", "not an io.prometheus.write.v2.Request") from error


def _too_many() -> Refusal:
    return too_large(f"more than {ELEMENTS} series, labels and samples; send the rest in another request")


def _elements(one: Written) -> int:
    return len(one.labels) + len(one.samples) + one.histograms + one.exemplars


def _bounded(data: memoryview) -> memoryview:
    """The bytes of one series. Raises Refusal."""
    if len(data) > SERIES_BYTES:
        raise too_large(f"one series of {len(data)} bytes; the limit is {SERIES_BYTES}")
    return data


def _series_v1(data: memoryview) -> Written:
    out = Written({})
    for number, value in fields(_bounded(data)):
        if number == 1:
            label = dict(fields(octets(value)))
            out.labels[text(label.get(1, b""))] = text(label.get(2, b""))
        elif number == 2:
            out.samples.append(_sample(octets(value)))
        elif number == 3:
            out.exemplars += 1
        elif number == 4:
            out.histograms += 1
    return out


def _series_v2(data: memoryview, symbols: list[str]) -> Written:
    out = Written({})
    references: list[int] = []
    created = 0
    for number, value in fields(_bounded(data)):
        if number == 1:
            references += [value] if isinstance(value, int) else packed(value)
        elif number == 2:
            out.samples.append(_sample(octets(value)))
        elif number == 3:
            out.histograms += 1
        elif number == 4:
            out.exemplars += 1
        elif number == 5:
            about = dict(fields(octets(value)))
            out.kind = _type(about.get(1, 0))
            out.unit = symbols[whole(about.get(4, 0))] if about.get(4) else ""
        elif number == 6:
            created = signed(whole(value))
    if len(references) % 2:
        raise ValueError("a label without a value")
    out.labels = {symbols[name]: symbols[told] for name, told in zip(references[::2], references[1::2], strict=True)}
    if created:
        out.samples = [(value, at, start or created) for value, at, start in out.samples]
    return out


def _sample(data: memoryview) -> tuple[float, int, int]:
    found = dict(fields(data))
    number = double(found.get(1, b"\0" * 8))
    return number, signed(whole(found.get(2, 0))), signed(whole(found.get(3, 0)))


def _type(value: Value) -> str:
    number = whole(value)
    return _TYPES[number] if number < len(_TYPES) else "unknown"
