"""What vehicles measure counts once, whatever they send again; what they do not measure is a gap."""

import collections

from fleet import mapping, signals
from fleet.memory import Known, Vehicle
from fleet.messages import Flags, Gap, Signals, State
from fleet.reading import Fate
from schemas.records import MeasureKind

AT = 1_700_000_000_000
YEAR_MS = 365 * 86_400_000
SPEED, SOC, GEAR, DOORS, VERSION, LOCKED, MODEL = 4, 8, 10, 58, 68, 59, 113
MAPPING = mapping.read(
    """
    [labels]
    fleet = "north"
    [follow]
    version = "Version"
    model = "CarType"
    [signals]
    VehicleSpeed = {metric = "speed", unit = "[mi_i]/h", vehicle = true}
    Soc = {metric = "soc", unit = "%"}
    Gear = {metric = "gear", form = "states", family = "ShiftState"}
    DoorState = {metric = "door", form = "flags"}
    """
)


class Car:
    def __init__(self):
        self.vehicle, self.known = Vehicle(0), Known()

    def says(self, at, *values, resent=False, arrived=None):
        """{(metric, labels beyond the fleet's): value}, and the fates."""
        message = Signals("", at, values, resent)
        rows, fates = signals.rows_of(message, arrived or at, self.vehicle, "v1", MAPPING, self.known)
        assert all(row.labels[0] == ("fleet", "north") and row.time_ms == at for row in rows)
        return {(row.metric, *(f"{k}={v}" for k, v in row.labels[1:])): row.value for row in rows}, fates


def test_numbers_states_and_flags():
    rows, fates = Car().says(
        AT, (SPEED, "61.5"), (SOC, 80.25), (GEAR, State("ShiftState", "D")), (DOORS, Flags({"a": True, "b": False}))
    )
    assert rows == {
        ("speed", "vehicle=v1"): 61.5, ("soc",): 80.25, ("gear", "state=D"): 1.0, ("door", "part=a"): 1.0,
        ("door", "part=b"): 0.0, ("vehicle.signals", "fate=read"): 4.0, ("vehicle.online", "vehicle=v1"): 1.0,
    }  # fmt: skip
    assert fates == {Fate.READ: 4}


def test_kinds_and_units():
    found, _ = signals.rows_of(
        Signals("", AT, ((SPEED, 1.0), (GEAR, State("ShiftState", "P")))), AT, Vehicle(0), "v1", MAPPING, Known()
    )
    assert [(row.kind, row.unit) for row in found] == [
        (MeasureKind.GAUGE, "[mi_i]/h"), (MeasureKind.COUNTER, "1"), (MeasureKind.COUNTER, "1"), (MeasureKind.GAUGE, "1"),
    ]  # fmt: skip


def test_gaps_are_counted_and_are_no_zeros():
    rows, fates = Car().says(AT, (SPEED, Gap.INVALID), (SOC, Gap.MISSING), (GEAR, 1.0), (LOCKED, True))
    assert rows == {
        ("vehicle.signals", "fate=invalid"): 1.0, ("vehicle.signals", "fate=missing"): 1.0,
        ("vehicle.signals", "fate=unreadable"): 1.0, ("vehicle.online", "vehicle=v1"): 1.0,
    }  # fmt: skip
    assert fates[Fate.UNMAPPED] == 1


def test_a_gap_that_is_said_again_is_repeated_and_a_reading_of_that_moment_still_counts():
    car = Car()
    car.says(AT, (SPEED, Gap.MISSING))
    _, fates = car.says(AT, (SPEED, Gap.MISSING), (SOC, 1.0))
    assert fates == {Fate.REPEATED: 1, Fate.READ: 1}
    assert car.says(AT, (SPEED, 7.0))[0]["speed", "vehicle=v1"] == 7.0


def test_the_same_time_counts_once_field_by_field():
    car = Car()
    car.says(AT, (SPEED, 10.0))
    rows, _ = car.says(AT, (SPEED, 10.0), (SOC, 50.0))
    assert rows == {("soc",): 50.0, ("vehicle.signals", "fate=read"): 1.0, ("vehicle.signals", "fate=repeated"): 1.0}


def test_a_resend_counts_what_is_new_in_it():
    car = Car()
    car.says(AT, (SPEED, 10.0), (SOC, 50.0))
    rows, fates = car.says(AT + 1000, (SPEED, 10.0), (SOC, 49.0), resent=True)
    assert (fates[Fate.READ], fates[Fate.REPEATED]) == (1, 1)
    assert rows["soc",] == 49.0
    assert ("speed", "vehicle=v1") not in rows
    rows, _ = car.says(AT + 2000, (SPEED, 10.0))  # not a resend: the vehicle measured it anew
    assert rows["speed", "vehicle=v1"] == 10.0


def test_what_was_held_back_counts_where_it_belongs():
    car = Car()
    car.says(AT, (SPEED, 10.0))
    rows, _ = car.says(AT - 600_000, (SPEED, 10.0), resent=True)  # older, and never seen
    assert rows["speed", "vehicle=v1"] == 10.0
    rows, _ = car.says(AT + 1000, (SPEED, 10.0), resent=True)  # the newest value is still that of AT
    assert ("speed", "vehicle=v1") not in rows


def test_what_is_followed_is_a_label_from_then_on_and_an_old_value_changes_nothing():
    car = Car()
    assert ("soc",) in car.says(AT, (SOC, 1.0))[0]
    rows, _ = car.says(AT + 1, (SOC, 1.0), (VERSION, "2026.8"), (MODEL, State("CarType", "Model3")))
    assert ("soc", "version=2026.8", "model=Model3") in rows
    rows, _ = car.says(AT - 5, (SOC, 1.0), (VERSION, "2025.1"), (MODEL, State("CarType", "Unknown")))
    assert ("soc", "version=2026.8", "model=Model3") in rows


def test_a_clock_that_was_ahead_once_does_not_freeze_what_is_newest():
    car = Car()
    car.says(AT + YEAR_MS, (VERSION, "2026.8"), (SOC, 50.0), arrived=AT)
    rows, _ = car.says(AT + 1000, (VERSION, "2026.12"), (SOC, 40.0))
    assert rows["soc", "version=2026.12"] == 40.0
    rows, _ = car.says(AT + 2000, (SOC, 40.0), resent=True)
    assert ("soc", "version=2026.12") not in rows, "it was said already"


def test_a_signal_that_is_said_twice_in_a_record_counts_once():
    assert Car().says(AT, (SOC, 1.0), (SOC, 2.0))[1] == collections.Counter({Fate.READ: 1, Fate.REPEATED: 1})
