"""Records in, framed telemetry out: identities that only the log decides, refusals that cost themselves."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import mapping, saved
from fleet.adapter import Adapter, Kind
from fleet.identity import Naming
from fleet.limits import RECORD_BYTES
from schemas.corrupt import FRAMING, SIZE, SOURCE, TIME, CorruptRecord
from schemas.logs import LOGS, encode_logs, read_logs
from schemas.records import SourceKind
from tests.fleet import encoder
from tests.fleet.reader import measurements

FRAMED = 10  # bytes of the framing
AT = 1_700_000_000_000
MAPPING = mapping.read(mapping.default())
NAMING = Naming(secret="ours")
VINS = (b"VIN-1", b"VIN-2", b"VIN-3")


def adapter(kind=Kind.SIGNALS):
    return Adapter(kind, f"tesla_{kind.value}/3", MAPPING, NAMING)


def speed(at=AT, value="61.5", **more):
    return encoder.encoded(encoder.payload(at, {"VehicleSpeed": ("string_value", value)}, **more))


def test_the_source_is_the_vehicle_and_the_record_is_readable():
    source, telemetry, events = adapter().take(41, AT, VINS[0], speed(vin="VIN-1"))
    assert source == NAMING.source("VIN-1")
    found = measurements([telemetry])
    assert [(m.metric, m.value) for m in found] == [
        ("vehicle.speed", 61.5), ("vehicle.signals", 1.0), ("vehicle.online", 1.0),
    ]  # fmt: skip
    assert {m.time_ms for m in found} == {AT}
    assert found[0].labels == {"service": "fleet"}
    assert b"VIN-1" not in telemetry
    assert not events


def test_sequences_count_a_vehicles_records_even_those_that_cannot_be_read():
    one = adapter()
    assert one.take(7, AT, VINS[0], speed()) is not None
    with pytest.raises(CorruptRecord):
        one.take(8, AT, VINS[0], b"\xff")
    other = one.take(9, AT, VINS[1], speed())
    again = one.take(10, AT, VINS[0], speed(AT + 1))
    (first, *_), (second, *_) = measurements([other.telemetry]), measurements([again.telemetry])
    assert (first.sequence, second.sequence) == (0, 2)
    assert first.producer != second.producer


def test_a_record_in_which_nothing_counts_is_none():
    one = adapter(Kind.ALERTS)
    told = encoder.encoded(encoder.alerts(AT, [("A", AT, 0)]))
    assert one.take(0, AT, VINS[0], told) is not None
    assert one.take(1, AT, VINS[0], told) is None


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    ("kind", "message", "metric"),
    [
        (Kind.ALERTS, encoder.alerts(AT, [("A", AT, 0)], "VIN-1"), "vehicle.alerts"),
        (Kind.ERRORS, encoder.errors(AT, [("E", AT)], "VIN-1"), "vehicle.errors"),
        (Kind.CONNECTIVITY, encoder.connectivity(AT, "c", "CONNECTED", "VIN-1"), "vehicle.connections"),
    ],
)
def test_the_other_topics(kind, message, metric, as_json):
    made = adapter(kind).take(0, AT, VINS[0], encoder.encoded(message, as_json=as_json))
    assert metric in {m.metric for m in measurements([made.telemetry])}
    assert "secret words" not in str(made)
    told = {record.event for batch in made.events for record in batch.records}
    assert told == (set() if kind is Kind.CONNECTIVITY else {metric.removesuffix("s")})


@pytest.mark.parametrize("kind", [Kind.ALERTS, Kind.ERRORS])
def test_events_are_told_once_under_the_identity_of_the_telemetry_beside_them(kind):
    def told(*names):
        if kind is Kind.ALERTS:
            return encoder.encoded(encoder.alerts(AT, [(name, AT, AT + 500) for name in names], "VIN-1"))
        return encoder.encoded(encoder.errors(AT, [(name, AT) for name in names], "VIN-1"))

    one = adapter(kind)
    first, again, more = (one.take(7 + n, AT, VINS[0], told(*names)) for n, names in enumerate(("A", "A", "AB")))
    assert again is None
    (batch,), (other,) = first.events, more.events
    assert (batch.source, batch.boot) == (first.source, f"tesla_{kind.value}/3/7")
    assert (batch.sequence, other.sequence) == (0, 2)
    assert batch.resource == one._resource
    phases = ["started", "ended"] if kind is Kind.ALERTS else [None]
    for found, name in ((batch, "A"), (other, "B")):
        assert [record.attributes["name"] for record in found.records] == [name] * len(phases)
        assert [record.attributes.get("phase") for record in found.records] == phases
        assert {record.observed_ms for record in found.records} == {AT}
    assert len(measurements([first.telemetry])) == len(phases)


def test_where_vehicles_go_by_their_vin_events_may_say_it():
    told = encoder.encoded(encoder.errors(AT, [("E", AT)], tags={"vin": "VIN-1"}))
    plain = Adapter(Kind.ERRORS, "t/0", MAPPING, Naming(plain=True)).take(0, AT, VINS[0], told)
    hashed = adapter(Kind.ERRORS).take(0, AT, VINS[0], told)
    assert plain.events[0].records[0].attributes == {"name": "E", "tag.vin": "VIN-1"}
    assert "VIN-1" not in str(hashed)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (None, speed(), SOURCE),
        (VINS[0], speed(vin="VIN-2"), SOURCE),
        (VINS[0], b"{", FRAMING),
        (VINS[0], b"\xff", FRAMING),
        (VINS[0], b"", TIME),
        (VINS[0], speed(2**60), TIME),
        (VINS[0], b"\x0a" * (RECORD_BYTES + 1), SIZE),
    ],
)
def test_what_is_refused(key, value, reason):
    with pytest.raises(CorruptRecord) as refused:
        adapter().take(0, AT, key, value)
    assert refused.value.reason == reason


def test_vehicles_are_vehicles():
    assert adapter()._resource.source_kind is SourceKind.VEHICLE


VALUES = {
    "VehicleSpeed": st.tuples(st.just("string_value"), st.sampled_from(["1", "2", "x"])),
    "Soc": st.tuples(st.just("double_value"), st.sampled_from([1.0, 2.0])),
    "Gear": st.tuples(st.just("shift_state_value"), st.sampled_from([0, 2, 5])),
    "Version": st.tuples(st.just("string_value"), st.sampled_from(["a", "b"])),
    "DoorState": st.none() | st.just(("invalid", True)),
}
RECORDS = st.lists(
    st.tuples(
        st.sampled_from(VINS),
        st.builds(
            lambda second, values, resend: encoder.encoded(encoder.payload(AT + 1000 * second, values, resend=resend)),
            st.integers(0, 6), st.fixed_dictionaries({}, optional=VALUES), st.booleans(),
        ) | st.just(b"\xff"),
    ),
    max_size=25,
)  # fmt: skip


def run(one, log):
    """What the records become, by offset."""
    out = {}
    for offset, (key, value) in log:
        try:
            made = one.take(offset, AT, key, value)
        except CorruptRecord:
            continue
        if made is not None:
            out[offset] = made
    return out


def telemetry(*runs):
    return [made.telemetry for one in runs for made in one.values()]


NAMED = st.sampled_from("ABC")
SECOND = st.integers(0, 6).map(lambda second: AT + 1000 * second)
REPORTED = st.lists(
    st.tuples(
        st.sampled_from(VINS),
        st.builds(
            lambda told: encoder.encoded(encoder.alerts(AT, told)),
            st.lists(st.tuples(NAMED, SECOND, st.just(0) | SECOND), max_size=4),
        ),
    ),
    max_size=25,
)
KINDS = {Kind.SIGNALS: RECORDS, Kind.ALERTS: REPORTED}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(list(KINDS)), st.data())
def test_a_replay_from_any_snapshot_gives_the_same_bytes(kind, data):
    log = list(enumerate(data.draw(KINDS[kind])))
    whole = run(adapter(kind), log)
    cut = data.draw(st.integers(0, len(log)))
    before, after = adapter(kind), adapter(kind)
    begun = run(before, log[:cut])
    snapshot = saved.snapshot(before, cut - 1)
    lost = run(before, log[cut:])  # delivered, and then the process dies
    assert saved.restore(after, snapshot) == cut - 1
    again = run(after, log[cut:])
    assert begun | again == whole
    assert lost == again
    assert measurements(telemetry(begun, lost, again)) == measurements(telemetry(whole))
    told = [batch for one in (begun, lost, again) for made in one.values() for batch in made.events]
    assert {(batch.source, batch.boot, batch.sequence): batch for batch in told} == {
        (batch.source, batch.boot, batch.sequence): batch for made in whole.values() for batch in made.events
    }


def started(event):
    return event.time_ms - round(1000 * float(event.attributes.get("lasted_s", 0)))


@settings(max_examples=60, deadline=None)
@given(REPORTED)
def test_each_alert_of_a_vehicle_is_told_and_counted_once_for_each_phase(records):
    made = run(adapter(Kind.ALERTS), enumerate(records))
    told = [
        (batch.source, one.attributes["name"], one.attributes["phase"], started(one))
        for found in made.values()
        for batch in found.events
        for one in batch.records
    ]
    assert len(told) == len(set(told)) == len(measurements(telemetry(made)))


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_each_reading_of_a_vehicle_signal_and_moment_counts_once(records):
    found = measurements(telemetry(run(adapter(), enumerate(records))))
    told = [(m.producer, m.metric, m.time_ms) for m in found if m.metric not in ("vehicle.signals", "vehicle.online")]
    assert len(told) == len(set(told))
    online = [(m.producer, m.time_ms) for m in found if m.metric == "vehicle.online"]
    assert len(online) == len(set(online))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_no_bytes_end_an_adapter(value, kind):
    with suppress(CorruptRecord):
        adapter(kind).take(0, AT, VINS[0], value)


ANY_TEXT = st.sampled_from(["a", "\ud800", "\u00e9\n", "x" * 5_000, ""]) | st.text(max_size=6)
ANY_TIME = st.sampled_from([
    None, "", "2023-11-14T22:13:20Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999Z", "1970-01-01T00:00:00Z", "yesterday",
])  # fmt: skip
ANY = st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT
ITEM = st.fixed_dictionaries({}, optional={
    "name": ANY_TEXT, "startedAt": ANY_TIME, "endedAt": ANY_TIME, "createdAt": ANY_TIME, "audiences": st.lists(ANY, max_size=3),
    "tags": st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=3), "body": ANY_TEXT, "key": st.sampled_from(["Soc", "Gear", "Version", 8]),
    "value": st.none() | st.dictionaries(st.sampled_from(["stringValue", "doubleValue", "shiftStateValue", "doorValue", "?"]), ANY),
})  # fmt: skip
LISTS = {Kind.SIGNALS: "data", Kind.ALERTS: "alerts", Kind.ERRORS: "errors"}
TOLD = st.fixed_dictionaries({}, optional={
    "connectionId": ANY_TEXT, "status": ANY, "networkInterface": ANY_TEXT, "isResend": st.booleans(), "createdAt": ANY_TIME,
})  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(Kind), st.lists(st.tuples(TOLD, st.lists(ITEM, max_size=3)), max_size=3))
def test_whatever_is_taken_can_be_read_by_whoever_is_next(kind, told):
    records = [{"createdAt": "2023-11-14T22:13:20Z", LISTS.get(kind, "?"): items, **more} for more, items in told]
    words = mapping.read(f"{mapping.default()}[events]\nbody = true")
    one = Adapter(kind, "t/0", words, NAMING)
    made = run(one, enumerate((VINS[0], json.dumps(record).encode()) for record in records))
    measurements(telemetry(made))
    for batch in (batch for found in made.values() for batch in found.events):
        assert read_logs(LOGS, encode_logs(batch), FRAMED) == batch
    assert saved.restore(adapter(kind), saved.snapshot(one, 7)) == 7
