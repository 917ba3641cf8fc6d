"""Laws of the decoder: hostile bytes cost themselves alone, and fast and strict reading never disagree."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import corrupt, limits
from schemas.corrupt import CorruptRecord
from schemas.encoding import Producer, Resource, SeriesEntry, encode_batch, encode_event
from schemas.framing import single_object
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from schemas.telemetry import Decoded, TelemetryDecoder
from schemas.telemetry_rows import TelemetryRow, read_batch, read_event
from schemas.telemetry_schema import BATCH, EVENT

TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
LABELS = st.dictionaries(TEXT, TEXT, max_size=3)
ENTRIES = st.builds(
    SeriesEntry, st.sampled_from(["m", "latency", "\u20ac"]), st.sampled_from(MeasureKind), TEXT, LABELS
)
RESOURCES = st.builds(Resource, TEXT, TEXT, TEXT, TEXT, st.sampled_from(SourceKind), LABELS)
PRODUCERS = st.builds(Producer, TEXT, TEXT)
SEQUENCES = st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 300)
TIMES = st.integers(0, limits.TIME_BOUND_MS - 1)
VALUES = st.floats(-limits.VALUE_BOUND, limits.VALUE_BOUND, exclude_min=True, exclude_max=True)
CLOCKS = st.sampled_from([0, 1, 1_800_000_000_000, 2**53 - 1, 2**53, -1, 2**63 - 1]) | st.integers(-(2**63), 2**63 - 1)
TRACES = st.just(b"") | st.binary(min_size=16, max_size=16)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    return encode_event(
        draw(ENTRIES), draw(RESOURCES), draw(PRODUCERS), time_ms=draw(TIMES), value=draw(VALUES),
        sequence=draw(SEQUENCES), outcome=draw(st.integers(0, 2)), trace_id=draw(TRACES),
    )  # fmt: skip


@st.composite
def batches(draw: st.DrawFn) -> bytes:
    entries = draw(st.lists(ENTRIES, min_size=1, max_size=4))
    rows = draw(st.integers(0, 6))

    def column(of: st.SearchStrategy[object]) -> list[object]:
        return draw(st.lists(of, min_size=rows, max_size=rows))

    exemplars = (
        draw(st.lists(st.tuples(st.integers(0, rows - 1), st.binary(min_size=16, max_size=16)), max_size=3))
        if rows
        else []
    )
    return encode_batch(
        entries, draw(RESOURCES), draw(PRODUCERS), base_ms=draw(st.integers(0, 2**53 - 2**32 - 1)),
        series=column(st.integers(0, len(entries) - 1)), delta_ms=column(st.integers(0, 2**32 - 1)),
        value=column(VALUES), outcome=column(st.integers(0, 2)) if draw(st.booleans()) else None,
        sequence=draw(SEQUENCES), exemplars=exemplars, stamps=draw(st.tuples(CLOCKS, CLOCKS, CLOCKS, CLOCKS)),
    )  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, good: bytes | None = None) -> bytes:
    """A good record with bits flipped, bytes cut out or put in, or its end cut off."""
    data = bytearray(draw(events() | batches()) if good is None else good)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data) - 1))
        what = draw(st.sampled_from(["flip", "cut", "put", "end", "big"]))
        if what == "flip":
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del data[at : at + draw(st.integers(1, 9))]
        elif what == "put":
            data[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif what == "big":
            data[at:at] = b"\xff" * draw(st.integers(1, 12))
        else:
            del data[at:]
        if not data:
            break
    return bytes(data)


@st.composite
def families(draw: st.DrawFn) -> list[bytes]:
    """A good record, then damaged copies of it: their identity tail is known when they come."""
    good = draw(events() | batches())
    return [good, *(draw(damaged(good)) for _ in range(draw(st.integers(1, 6))))]


HEADERS = st.sampled_from([b"", single_object(EVENT), single_object(BATCH), b"\x00\x00\x00\x00\x01", b"\xc3\x01"])
NOISE = st.builds(lambda header, body: header + body, HEADERS, st.binary(max_size=200))
ANYTHING = events() | batches() | damaged() | NOISE


class Registry:
    """Numbers definitions in the order in which they come."""

    def __init__(self) -> None:
        self.definitions: list[SeriesDefinition] = []

    def resolve(self, definition: SeriesDefinition) -> int:
        self.definitions.append(definition)
        return len(self.definitions) - 1


def strictly(data: bytes) -> TelemetryRow | CorruptRecord:
    """The record read by the strict reader alone."""
    try:
        if data[:10] == single_object(EVENT):
            return read_event(EVENT, data, 10)
        if data[:10] == single_object(BATCH):
            return read_batch(BATCH, data, 10)
    except CorruptRecord as error:
        return error
    return CorruptRecord(corrupt.FRAMING, 0, "")


def agree(values: list[bytes], decoded: Decoded, registry: Registry) -> None:
    """Every record is either in the columns as the strict reader says, or refused as the strict reader says."""
    rows = decoded.measurements
    refused = {refusal.offset: refusal for refusal in decoded.refused}
    records = rows.record_offset.tolist()
    assert sorted([*records, *refused]) == list(range(len(values)))
    assert records == sorted(records)
    assert rows.row_record.tolist() == np.repeat(np.arange(len(records)), rows.record_rows).tolist()
    traces: dict[int, list[bytes]] = {row: [] for row in range(len(rows))}
    for row, trace in zip(rows.exemplar_row.tolist(), rows.exemplar_trace.tolist(), strict=True):
        traces[row] = [*traces[row], bytes(trace)]
    told = dict(zip(rows.stamped.tolist(), rows.stamps.T.tolist(), strict=True))
    assert list(told) == sorted(told)
    at = 0
    for offset, data in enumerate(values):
        found = strictly(data)
        if isinstance(found, CorruptRecord):
            assert offset in refused
            if data[:10] in (single_object(EVENT), single_object(BATCH)):
                assert (refused[offset].reason, refused[offset].byte) == (found.reason, found.byte)
            assert refused[offset].reason in corrupt.REASONS
            assert 0 <= refused[offset].byte <= len(data)
            continue
        place = records.index(offset)
        count = len(found.value)
        some = slice(at, at + count)
        assert int(rows.record_rows[place]) == count
        assert int(rows.record_sequence[place]) == found.sequence
        assert int(rows.record_producer[place]) == found.producer
        wall, _, sent_wall, _ = found.stamps
        within = all(0 <= clock < limits.TIME_BOUND_MS for clock in found.stamps)
        assert told.get(place) == (list(found.stamps) if within and wall and sent_wall else None)
        assert rows.time_ms[some].tolist() == found.time_ms.tolist()
        assert rows.value[some].tobytes() == found.value.tobytes()
        assert rows.outcome[some].tolist() == found.outcome.tolist()
        expected = [found.definitions[series] for series in found.series.tolist()]
        assert [registry.definitions[index] for index in rows.series[some].tolist()] == expected
        for row in range(count):
            assert traces[at + row] == [trace for marked, trace in found.exemplars if marked == row]
        at += count
    assert at == len(rows)


def stamped(values: list[bytes], first: int = 0) -> list[tuple[int, int, bytes]]:
    return [(first + offset, 0, value) for offset, value in enumerate(values)]


@settings(max_examples=150, deadline=None)
@given(st.lists(ANYTHING, max_size=12))
def test_fast_and_strict_reading_agree(values: list[bytes]) -> None:
    registry = Registry()
    decoder = TelemetryDecoder(registry.resolve)
    for _ in range(2):  # with new tails, and with known ones
        agree(values, decoder.decode(stamped(values)), registry)


@settings(max_examples=300, deadline=None)
@given(damaged())
def test_damage_is_found_or_harmless(value: bytes) -> None:
    registry = Registry()
    agree([value], TelemetryDecoder(registry.resolve).decode(stamped([value])), registry)


@settings(max_examples=300, deadline=None)
@given(families())
def test_damage_behind_a_known_tail_is_found_or_harmless(values: list[bytes]) -> None:
    registry = Registry()
    decoder = TelemetryDecoder(registry.resolve)
    decoder.decode(stamped(values[:1]))
    agree(values, decoder.decode(stamped(values)), registry)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=8))
def test_random_bytes_are_refused(values: list[bytes]) -> None:
    registry = Registry()
    agree(values, TelemetryDecoder(registry.resolve).decode(stamped(values)), registry)


@settings(max_examples=100, deadline=None)
@given(st.lists(events() | batches() | damaged(), max_size=12), st.lists(st.integers(0, 12), max_size=4))
def test_how_the_log_is_cut_does_not_matter(values: list[bytes], cuts: list[int]) -> None:
    whole, parts = Registry(), Registry()
    at_once = TelemetryDecoder(whole.resolve).decode(stamped(values))
    decoder = TelemetryDecoder(parts.resolve)
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    pieces = [decoder.decode(stamped(values[first:last], first)) for first, last in itertools.pairwise(bounds)]
    assert whole.definitions == parts.definitions  # the same series get the same indexes
    assert [refused for piece in pieces for refused in piece.refused] == at_once.refused
    for name in ("series", "time_ms", "value", "outcome", "record_offset", "record_producer", "exemplar_trace"):
        cut = np.concatenate([getattr(piece.measurements, name) for piece in pieces])
        assert cut.tobytes() == getattr(at_once.measurements, name).tobytes(), name
    stamps = np.concatenate([piece.measurements.stamps for piece in pieces], axis=1)
    assert stamps.tolist() == at_once.measurements.stamps.tolist()
    ids = np.concatenate([piece.measurements.event_id() for piece in pieces])
    assert ids.tolist() == at_once.measurements.event_id().tolist()


@settings(max_examples=100, deadline=None)
@given(ENTRIES, RESOURCES, PRODUCERS, TIMES, VALUES, SEQUENCES, TRACES)
def test_an_event_comes_back(
    entry: SeriesEntry, resource: Resource, producer: Producer, time_ms: int, value: float, sequence: int, trace: bytes
) -> None:
    registry = Registry()
    data = encode_event(
        entry, resource, producer, time_ms=time_ms, value=value, sequence=sequence, outcome=1, trace_id=trace
    )
    decoded = TelemetryDecoder(registry.resolve).decode(stamped([data]))
    rows = decoded.measurements
    assert decoded.refused == []
    assert (rows.time_ms[0], rows.value[0], rows.record_sequence[0], rows.outcome[0]) == (time_ms, value, sequence, 1)
    assert rows.exemplar_trace.tobytes() == trace
    (definition,) = registry.definitions
    own = {name: getattr(resource, name) for name in ("service", "version", "environment", "region")}
    labels = {name: text for name, text in own.items() if text} | dict(entry.labels)
    assert definition == SeriesDefinition(entry.metric, entry.kind, entry.unit, resource.source_kind, labels)
    assert dataclasses.replace(SeriesDefinition.from_bytes(definition.canonical()), labels=labels) == definition
