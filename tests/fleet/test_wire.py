"""Both encodings, by Google's runtime, say the same to us; what is not such a message costs itself."""

import contextlib
import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet import plainjson, wire
from fleet.limits import ITEMS
from fleet.messages import Connectivity, Flags, Gap, Link, Opaque, Report, Reports, Signals, State
from schemas.corrupt import FRAMING, SIZE, CorruptRecord
from tests.fleet import encoder

AT = 1_700_000_000_123
VIN = "5YJ3E1EA0KF000001"
READERS = [pytest.param(wire, False, id="protobuf"), pytest.param(plainjson, True, id="json")]
EVERY = {
    "VehicleSpeed": ("string_value", "61.5"), "Soc": ("double_value", 80.25), "InsideTemp": ("float_value", 21.5),
    "Odometer": ("long_value", -(2**40)), "Locked": ("boolean_value", False), "Gear": ("shift_state_value", "ShiftStateD"),
    "Location": ("location_value", {"latitude": 1.0, "longitude": 2.0}), "Version": ("invalid", True), "CarType": None,
    "DoorState": ("door_value", {"DriverRear": True}), "TpmsHardWarnings": ("tire_location_value", {"rear_left": True}),
    "DetailedChargeState": ("time_value", {"hour": 3}), "Later": ("later_value", "x"),
}  # fmt: skip


@pytest.mark.parametrize(("reader", "as_json"), READERS)
def test_every_kind_of_value(reader, as_json):
    found = reader.signals(encoder.encoded(encoder.payload(AT, EVERY, VIN, resend=True), as_json=as_json))
    doors = {name: name == "DriverRear" for name in wire.DOORS}
    tyres = {name: name == "rear_left" for name in wire.TYRES}
    later = 0 if as_json else 300  # a name that came after our table has no number
    assert found == Signals(
        VIN,
        AT,
        (
            (4, "61.5"), (8, 80.25), (85, 21.5), (5, -float(2**40)), (59, False), (10, State("ShiftState", "D")),
            (21, Opaque.PLACE), (68, Gap.INVALID), (113, Gap.MISSING), (58, Flags(doors)), (224, Flags(tyres)),
            (179, Opaque.CLOCK), (later, Opaque.NEW),
        ),
        resent=True,
    )  # fmt: skip


@pytest.mark.parametrize(("reader", "as_json"), READERS)
def test_alerts_errors_and_connectivity(reader, as_json):
    def read(kind, message):
        return getattr(reader, kind)(encoder.encoded(message, as_json=as_json))

    for_both = ("customer", "service")
    assert read("alerts", encoder.alerts(AT, [("A1", AT - 5, 0), ("A2", AT - 9, AT)], VIN)) == Reports(
        VIN, AT, (Report("A1", AT - 5, 0, for_both), Report("A2", AT - 9, AT, for_both))
    )
    (error,) = read("errors", encoder.errors(AT, [("E1", AT - 1)], VIN, {"a": "1", "b": ""})).reports
    assert dataclasses.replace(error, tags=()) == Report("E1", AT - 1, body="secret words")
    assert sorted(error.tags) == [("a", "1"), ("b", "")]
    assert read("connectivity", encoder.connectivity(AT, "c1", "DISCONNECTED", VIN)) == Connectivity(
        VIN, AT, "c1", Link.DISCONNECTED, "wifi"
    )


@pytest.mark.parametrize(("reader", "as_json"), READERS)
def test_audiences_by_name_each_once_and_those_that_came_later(reader, as_json):
    message = encoder.alerts(AT, [("A1", AT, 0)], audiences=[3, 0, 3, 1, 9, 10])
    (alert,) = reader.alerts(encoder.encoded(message, as_json=as_json)).reports
    assert alert.audiences == ("service_fix", "unknown", "customer", "other")


def test_audiences_that_are_not_packed():
    assert wire.alerts(b"\x0a\x04\x10\x01\x10\x02").reports == (Report("", 0, 0, ("customer", "service")),)


def test_an_alert_in_ms_where_seconds_belong_is_mended_as_newer_servers_do():
    (alert,) = wire.alerts(encoder.encoded(encoder.alerts(AT, [("A1", AT * 1000, 0)]))).reports
    assert alert.started_ms == AT


def test_states_and_links_that_came_later_are_other_and_unknown():
    found = wire.signals(encoder.encoded(encoder.payload(AT, {"Gear": ("shift_state_value", 77)})))
    assert found.values == ((10, State("ShiftState", "other")),)
    assert wire.link_of(9) is Link.UNKNOWN


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05\x01", b"\x1a\x02\xff\xfe", b"\x08\x01", b"\x12\x02\x09\x01"])
def test_what_is_no_message_is_refused(data):
    with pytest.raises(CorruptRecord) as refused:
        wire.signals(data)
    assert refused.value.reason == FRAMING


def test_a_record_holds_so_many_items():
    message = encoder.made("Payload", data=[encoder.made("Datum", key=4)] * (ITEMS + 1))
    with pytest.raises(CorruptRecord) as refused:
        wire.signals(encoder.encoded(message))
    assert refused.value.reason == SIZE


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data):
    for reader in (wire.signals, wire.alerts, wire.errors, wire.connectivity):
        with contextlib.suppress(CorruptRecord):
            reader(data)


@settings(deadline=None)
@given(
    st.floats(allow_nan=False, width=32), st.integers(-(2**31), 2**31 - 1), st.text(max_size=20), st.integers(0, 2**52),
    st.booleans(),
)  # fmt: skip
def test_what_the_runtime_writes_is_what_we_read(real, whole, text, at, as_json):
    values = {"Soc": ("float_value", real), "Odometer": ("int_value", whole), "Version": ("string_value", text)}
    at = at % 250_000_000_000_000  # the years that RFC 3339 has
    data = encoder.encoded(encoder.payload(at, values), as_json=as_json)
    found = (plainjson if as_json else wire).signals(data)
    assert found == Signals("", at, ((8, pytest.approx(real)), (5, float(whole)), (68, text)))
