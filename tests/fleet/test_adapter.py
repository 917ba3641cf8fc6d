"""Records in, framed telemetry out: identities that only the log decides, refusals that cost themselves."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import mapping, saved
from fleet.adapter import Adapter, Kind
from fleet.identity import Naming
from fleet.limits import RECORD_BYTES
from schemas.corrupt import FRAMING, SIZE, SOURCE, TIME, CorruptRecord
from schemas.records import SourceKind
from tests.fleet import encoder
from tests.fleet.reader import measurements

AT = 1_700_000_000_000
MAPPING = mapping.read(mapping.default())
NAMING = Naming(secret="ours")
VINS = (b"VIN-1", b"VIN-2", b"VIN-3")


def adapter(kind=Kind.SIGNALS):
    return Adapter(kind, f"tesla_{kind.value}/3", MAPPING, NAMING)


def speed(at=AT, value="61.5", **more):
    return encoder.encoded(encoder.payload(at, {"VehicleSpeed": ("string_value", value)}, **more))


def test_the_source_is_the_vehicle_and_the_record_is_readable():
    source, telemetry = adapter().take(41, VINS[0], speed(vin="VIN-1"))
    assert source == NAMING.source("VIN-1")
    found = measurements([telemetry])
    assert [(m.metric, m.value) for m in found] == [
        ("vehicle.speed", 61.5), ("vehicle.signals", 1.0), ("vehicle.online", 1.0),
    ]  # fmt: skip
    assert {m.time_ms for m in found} == {AT}
    assert found[0].labels == {"service": "fleet"}
    assert b"VIN-1" not in telemetry


def test_sequences_count_a_vehicles_records_even_those_that_cannot_be_read():
    one = adapter()
    assert one.take(7, VINS[0], speed()) is not None
    with pytest.raises(CorruptRecord):
        one.take(8, VINS[0], b"\xff")
    _, other = one.take(9, VINS[1], speed())
    _, telemetry = one.take(10, VINS[0], speed(AT + 1))
    (first, *_), (second, *_) = measurements([other]), measurements([telemetry])
    assert (first.sequence, second.sequence) == (0, 2)
    assert first.producer != second.producer


def test_a_record_in_which_nothing_counts_is_none():
    one = adapter(Kind.ALERTS)
    told = encoder.encoded(encoder.alerts(AT, [("A", AT, 0)]))
    assert one.take(0, VINS[0], told) is not None
    assert one.take(1, VINS[0], told) is None


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
    _, telemetry = adapter(kind).take(0, VINS[0], encoder.encoded(message, as_json=as_json))
    assert metric in {m.metric for m in measurements([telemetry])}
    assert b"secret words" not in telemetry


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
        adapter().take(0, key, value)
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
    """Framed telemetry of the records, by offset."""
    out = {}
    for offset, (key, value) in log:
        try:
            made = one.take(offset, key, value)
        except CorruptRecord:
            continue
        if made is not None:
            out[offset] = made[1]
    return out


@settings(max_examples=60, deadline=None)
@given(RECORDS, st.data())
def test_a_replay_from_any_snapshot_gives_the_same_bytes(records, data):
    log = list(enumerate(records))
    whole = run(adapter(), log)
    cut = data.draw(st.integers(0, len(log)))
    before, after = adapter(), adapter()
    begun = run(before, log[:cut])
    snapshot = saved.snapshot(before, cut - 1)
    lost = run(before, log[cut:])  # delivered, and then the process dies
    assert saved.restore(after, snapshot) == cut - 1
    again = run(after, log[cut:])
    assert begun | again == whole
    assert lost == again
    assert measurements([*begun.values(), *lost.values(), *again.values()]) == measurements(list(whole.values()))


@settings(max_examples=60, deadline=None)
@given(RECORDS)
def test_each_reading_of_a_vehicle_signal_and_moment_counts_once(records):
    found = measurements(list(run(adapter(), enumerate(records)).values()))
    told = [(m.producer, m.metric, m.time_ms) for m in found if m.metric not in ("vehicle.signals", "vehicle.online")]
    assert len(told) == len(set(told))
    online = [(m.producer, m.time_ms) for m in found if m.metric == "vehicle.online"]
    assert len(online) == len(set(online))


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(Kind))
def test_no_bytes_end_an_adapter(value, kind):
    with suppress(CorruptRecord):
        adapter(kind).take(0, VINS[0], value)
