"""Known: caches that are bounded, and that never change an answer."""

from __future__ import annotations

import numpy as np
import pytest

from schemas import known, telemetry
from schemas.encoding import Producer, SeriesEntry
from schemas.records import SeriesDefinition
from tests.schemas.examples import Registry, batch, decoder, event, records


def test_small_caches_give_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KNOWN_DEFINITIONS", "KNOWN_TAILS", "KNOWN_PRODUCERS", "KNOWN_BATCH_TAILS"):
        monkeypatch.setattr(known, name, 3)
    read, registry = decoder()
    for step in range(6):
        entries = [SeriesEntry(f"m{(step * 3 + i) % 11}") for i in range(7)]
        values = [event(1.0, entry=entry, producer=Producer(f"p{i + step}")) for i, entry in enumerate(entries)]
        decoded = read.decode(records(*values, batch(3, tables=1 + step), batch(3, tables=9 - step)))
        assert decoded.refused == []
        names = [registry.definitions[index].metric for index in decoded.measurements.series.tolist()]
        assert names == [entry.metric for entry in entries] + ["latency"] * 6
        assert len(read._tails._index) <= 3
        assert len(read._producers._index) <= 3
        assert len(read._batch_tails._known) <= 3
    assert read._tails.drops > 0


def test_batch_tails_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "KNOWN_BATCH_TAIL_BYTES", 500)
    tails = known.BatchTails()
    for size in range(1, 400):
        tails.add(bytes(size), np.zeros(1, np.int64))
        assert tails._bytes <= 500
        assert tails.get(bytes(size)) is not None


def test_series_are_resolved_in_the_order_of_the_log() -> None:
    read, registry = decoder()
    values = [batch(2, tables=2), *(event(1.0, entry=SeriesEntry(f"m{i}")) for i in range(40)), batch(2, tables=3)]
    read.decode(records(*values))
    routes = [definition.labels.get("route", definition.metric) for definition in registry.definitions]
    assert routes == ["/0", "/1", *(f"m{i}" for i in range(40)), "/2"]


def test_a_failing_resolve_leaves_nothing_half_known() -> None:
    registry = Registry()
    failing = [True]

    def resolve(definition: SeriesDefinition) -> int:
        if failing[0] and definition.metric == "m3":
            raise MemoryError
        return registry.resolve(definition)

    read = telemetry.TelemetryDecoder(resolve)
    values = records(*(event(1.0, entry=SeriesEntry(f"m{i}")) for i in range(6)), batch(2))
    with pytest.raises(MemoryError):
        read.decode(values)
    failing[0] = False
    series = read.decode(values).measurements.series.tolist()
    assert [registry.definitions[index].metric for index in series[:6]] == [f"m{i}" for i in range(6)]


def test_what_was_known_is_known_again_after_a_restart() -> None:
    """A worker that takes over has the registry of its snapshot: no series is read, and none is resolved, anew."""
    read, registry = decoder()
    values = records(*(event(1.0, entry=SeriesEntry(f"m{i}")) for i in range(50)))
    before = read.decode(values).measurements.series
    asked = registry.asked
    again = telemetry.TelemetryDecoder(registry.resolve)
    again.restore(read.columns())
    assert again.decode(values).measurements.series.tolist() == before.tolist()
    assert registry.asked == asked
    more = again.decode(records(event(1.0, entry=SeriesEntry("new")), *(value for _, _, value in values)))
    assert more.measurements.series.tolist() == [50, *before.tolist()]
    assert registry.asked == asked + 1
    assert again.columns()["tail_key"].tolist() == read.columns()["tail_key"].tolist()
