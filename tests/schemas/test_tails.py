"""Tails: what is read quickly is what the strict reader says, for good bytes, damaged ones and each odd form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import limits
from schemas.corrupt import CorruptRecord
from schemas.encoding import Resource, SeriesEntry, encode_event, event_tail
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from schemas.tails import TailReader
from schemas.telemetry_rows import read_event
from schemas.telemetry_schema import EVENT
from tests.schemas.examples import ENTRY, NOW_MS, PRODUCER, RESOURCE

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
KEYS = TEXT | st.sampled_from(["service", "region"])
ENTRIES = st.builds(SeriesEntry, TEXT, st.sampled_from(MeasureKind), TEXT, st.dictionaries(KEYS, TEXT, max_size=4))
RESOURCES = st.builds(Resource, TEXT, TEXT, TEXT, TEXT, st.sampled_from(SourceKind), st.dictionaries(TEXT, TEXT))
HEAD = encode_event(ENTRY, RESOURCE, PRODUCER, time_ms=NOW_MS, value=1.0).removesuffix(event_tail(ENTRY, RESOURCE))


def strictly(tail: bytes) -> SeriesDefinition | None:
    try:
        return read_event(EVENT, HEAD + tail, 10).definitions[0]
    except CorruptRecord:
        return None


def taught(*tails: bytes) -> TailReader:
    reader = TailReader()
    for tail in tails:
        found = strictly(tail)
        if found is not None:
            reader.learn(tail, found)
    return reader


@given(RESOURCES, st.lists(ENTRIES, min_size=1, max_size=5))
def test_what_is_read_is_what_the_strict_reader_says(resource: Resource, entries: list[SeriesEntry]) -> None:
    tails = [event_tail(entry, resource) for entry in entries]
    reader = taught(*tails)
    for tail in tails:
        assert reader.read(tail) in (None, strictly(tail))


@given(ENTRIES, st.data())
def test_damaged_tails_are_read_as_the_strict_reader_does_or_not_at_all(
    entry: SeriesEntry, data: st.DataObject
) -> None:
    tail = event_tail(entry, RESOURCE)
    reader = taught(tail, event_tail(ENTRY, RESOURCE))
    place = data.draw(st.integers(0, len(tail) - 1))
    damaged = tail[:place] + data.draw(st.binary(max_size=3)) + tail[place + data.draw(st.integers(0, 3)) :]
    assert reader.read(damaged) in (None, strictly(damaged))


def test_a_known_resource_spares_the_strict_reader() -> None:
    reader = taught(event_tail(ENTRY, RESOURCE))
    other = event_tail(SeriesEntry("errors", MeasureKind.COUNTER, "1", {"route": "/b", "region": "us"}), RESOURCE)
    found = reader.read(other)
    assert found == strictly(other)
    assert found is not None
    assert found.labels["region"] == "us"
    assert TailReader().read(other) is None


@pytest.mark.parametrize(
    "entry",
    [
        SeriesEntry(""),
        SeriesEntry("m" * 64),
        SeriesEntry("m", labels={f"l{n}": "v" for n in range(limits.LABELS)}),
        SeriesEntry("m", labels={"k": "v" * 64}),
    ],
)
def test_what_is_not_plain_is_left_to_the_strict_reader(entry: SeriesEntry) -> None:
    assert taught(event_tail(ENTRY, RESOURCE)).read(event_tail(entry, RESOURCE)) is None


def test_resources_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.tails.KNOWN_RESOURCES", 2)
    tails = [event_tail(ENTRY, Resource(f"s{number}")) for number in range(3)]
    reader = taught(*tails)
    assert [reader.read(tail) is None for tail in tails] == [True, True, False]
