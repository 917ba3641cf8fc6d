"""A fleet through the adapter: what vehicles publish is counted once, whatever is sent again, and an adapter that is killed.

Records are made by an encoder that shares nothing with the adapter, in both encodings; what is expected of each is worked out
here, beside the making of it. The platform is a real broker and worker, and rollups are read by the demo's audit.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from demo.audit import TOPICS as AUDITED
from demo.audit import Audit
from demo.workers import ROOT, Workers
from fleet.identity import Naming
from schemas.records import DeadLetter, SloStatus
from streams import topics
from tests.fleet import encoder
from tests.integration.plant import Plant, now_ms, plant
from tests.streams.broker import make_topic, read_all

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

PAGE = ROOT / "docs" / "howto" / "connect-a-fleet.md"
NAMESPACE = "cars"
SECRET = "ours"
NAMING = Naming(secret=SECRET)
VINS = [f"5YJ3E1EA0KF{number:06}" for number in range(12)]
ADAPTER = "adapter"
HOUR_MS = 3_600_000
#: (metric, the labels that say something here) of one window -> (measurements, their sum)
Key = tuple[str, tuple[tuple[str, str], ...], int]
TOLD = ("fate", "name", "phase", "event", "state", "vehicle")


@dataclasses.dataclass
class Fleet:
    """Vehicles that publish, and what is to be found of it."""

    plant: Plant
    expected: collections.Counter[Key] = dataclasses.field(default_factory=collections.Counter)
    sums: collections.Counter[Key] = dataclasses.field(default_factory=collections.Counter)
    dead: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(1)
        self._producer = Producer({"bootstrap.servers": self.plant.bootstrap, "acks": "all"})
        self._audit, self._read = Audit(), 0

    def publish(self, kind: str, vin: str, value: bytes) -> None:
        self._producer.produce(f"{NAMESPACE}_{kind}", value, vin.encode())
        self._producer.poll(0)

    def flush(self) -> None:
        assert self._producer.flush(30) == 0

    def expect(self, at: int, metric: str, value: float = 1.0, **labels: str) -> None:
        key = (metric, tuple(sorted(labels.items())), at // 10_000 * 10_000)
        self.expected[key] += 1
        self.sums[key] += value

    def drive(self, vin: str, at: int) -> None:
        """One moment of a vehicle: signals, sent again in one way or another."""
        speed, as_json = self._random.randrange(100), self._random.random() < 0.3
        source = NAMING.source(vin)
        values = {
            "VehicleSpeed": ("string_value", str(speed)), "Gear": ("shift_state_value", "ShiftStateD"),
            "DoorState": ("invalid", True), "Later": None, "Location": ("location_value", {"latitude": 1.0}), "Soc": ("double_value", 5.0),
            "ModuleTempMax": ("double_value", 20.0),
        }  # fmt: skip
        record = encoder.encoded(encoder.payload(at, values, vin), as_json=as_json)
        self.publish("V", vin, record)
        self.expect(at, "vehicle.speed", speed)
        self.expect(at, "vehicle.gear", state="D")
        self.expect(at, "vehicle.battery.temperature", 20.0, vehicle=source)
        self.expect(at, "vehicle.signals", 3.0, fate="read")
        self.expect(at, "vehicle.signals", fate="invalid")
        if not as_json:  # of a signal that came later the wire has the number, JSON but a name
            self.expect(at, "vehicle.signals", fate="missing")
        self.expect(at, "vehicle.online", vehicle=source)
        again = self._random.random()
        if again < 0.3:  # the same once more: a producer's retry, or a vehicle's
            self.publish("V", vin, record)
            self.expect(at, "vehicle.signals", 4.0 if as_json else 5.0, fate="repeated")
        elif again < 0.5:  # a true-up a moment later, in which one value is new
            later = {"VehicleSpeed": ("string_value", str(speed)), "ModuleTempMax": ("double_value", 21.0)}
            self.publish("V", vin, encoder.encoded(encoder.payload(at + 7, later, vin, resend=True)))
            self.expect(at + 7, "vehicle.battery.temperature", 21.0, vehicle=source)
            self.expect(at + 7, "vehicle.signals", fate="read")
            self.expect(at + 7, "vehicle.signals", fate="repeated")
            self.expect(at + 7, "vehicle.online", vehicle=source)

    def break_down(self, vin: str, at: int) -> None:
        """An alert that is listed three times, and an error that is sent twice."""
        for ended in (0, 0, at + 500):
            self.publish("alerts", vin, encoder.encoded(encoder.alerts(at + 900, [("BMS_a001", at, ended)], vin)))
        self.expect(at, "vehicle.alerts", name="BMS_a001", phase="started")
        self.expect(at + 500, "vehicle.alerts", name="BMS_a001", phase="ended")
        for _ in range(2):
            self.publish("errors", vin, encoder.encoded(encoder.errors(at, [("cam", at)], vin), as_json=True))
        self.expect(at, "vehicle.errors", name="cam")

    def link(self, vin: str, at: int, status: str, connection: str) -> None:
        """A connect or disconnect, sent twice."""
        for _ in range(2):
            self.publish("connectivity", vin, encoder.encoded(encoder.connectivity(at, connection, status, vin)))
        self.expect(at, "vehicle.connections", event=status.lower())
        self.expect(at, "vehicle.online", float(status == "CONNECTED"), vehicle=NAMING.source(vin))

    def found(self) -> dict[Key, tuple[int, float]]:
        """What came out by now."""
        self.plant.tap.poll()
        entries = self.plant.tap.entries
        for entry in entries[self._read :]:
            if entry.topic in AUDITED:
                self._audit.read(entry.topic, entry.value)
        self._read = len(entries)
        out: dict[Key, tuple[int, float]] = {}
        for ((metric, _, _, kind, labels), start), cell in self._audit.found().items():
            assert kind == "vehicle"
            assert dict(labels)["service"] == "fleet"
            key = (metric, tuple(pair for pair in labels if pair[0] in TOLD), start)
            count, total = out.get(key, (0, 0.0))
            out[key] = (count + cell.count, total + cell.total)
        return out

    def settle(self) -> None:
        """Every measurement is found, once."""
        wanted = {key: (count, self.sums[key]) for key, count in self.expected.items()}
        try:
            self.plant.until("every measurement", lambda: self.found() == wanted, 90)
        except AssertionError:
            found = self.found()
            for key in sorted(wanted.keys() | found.keys()):
                if wanted.get(key) != found.get(key):
                    print(key, "wanted", wanted.get(key), "found", found.get(key))
            raise


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The page's own mapping and objectives, on a plant whose windows close soon."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "slo.yaml").write_text(blocks("yaml")[0].replace("freshness: 60s", "freshness: 10s"))
    lateness = {"TOCSIN_LATENESS_MS": "2000,2000,2000,2000", "TOCSIN_SLO_PATH": str(folder / "slo.yaml")}
    with plant(folder, **lateness) as made:
        for kind, partitions in (("V", 3), ("alerts", 1), ("errors", 1), ("connectivity", 5)):
            make_topic(made.bootstrap, f"{NAMESPACE}_{kind}", partitions)
        yield Fleet(made)


@pytest.fixture(scope="module")
def adapters(fleet: Fleet) -> Iterator[Workers]:
    directory: Path = fleet.plant.directory
    (directory / "mapping.toml").write_text(blocks("toml")[0])
    made = Workers(
        {
            **fleet.plant.environment,
            "TOCSIN_FLEET_NAMESPACE": NAMESPACE,
            "TOCSIN_FLEET_VIN_SECRET": SECRET,
            "TOCSIN_FLEET_MAPPING_PATH": str(directory / "mapping.toml"),
            "TOCSIN_SNAPSHOT_MIN_S": "0.2",
            "TOCSIN_SNAPSHOT_SHARE": "1.0",
        },
        directory,
        program=("streams", "fleet"),
    )
    yield made
    made.stop()


def ended(adapters: Workers) -> Callable[[], bool]:
    """Whether the adapter has ended by itself, as it was told to."""
    return lambda: adapters.code(ADAPTER) is not None


STEPS = ("after_apply", "before_outputs", "after_outputs", "in_snapshot", "before_ack")


def test_adapters_that_are_killed_between_two_steps_lose_and_double_nothing(fleet: Fleet, adapters: Workers) -> None:
    start = now_ms() - 120_000
    for number, step in enumerate(STEPS):
        adapters.start(ADAPTER, {"TOCSIN_CRASH_AT": f"fleet-{NAMESPACE}_V.{step}:{2 + number % 2}"})
        moment = start + number * 15_000
        deadline = time.monotonic() + 60
        while not ended(adapters)():  # something to do for each checkpoint, until it dies of one
            assert time.monotonic() < deadline, f"it never came to {step}"
            moment += 40
            for vin in VINS:
                fleet.drive(vin, moment + 17)
            fleet.flush()
            time.sleep(0.05)  # the pace of vehicles, not a wait
        adapters.kill(ADAPTER)
    adapters.start(ADAPTER)
    for number, vin in enumerate(VINS):
        fleet.break_down(vin, start + 1000 * number)
        fleet.link(vin, start + 500, "CONNECTED", "c1")
    fleet.flush()
    fleet.settle()


def test_what_cannot_be_read_costs_itself(fleet: Fleet, adapters: Workers) -> None:
    bad = {b"\xff\xff": "framing", b'{"data": 3}': "framing", b"": "time"}
    for value in bad:
        fleet.publish("V", VINS[0], value)
    fleet.publish("V", VINS[0], encoder.encoded(encoder.payload(now_ms(), {}, VINS[1])))
    fleet.drive(VINS[0], now_ms() - 3_000)
    fleet.flush()
    tap = fleet.plant.tap
    found = fleet.plant.until(
        "the dead letters", lambda: letters if len(letters := [e.record for e in tap.of(topics.DLQ)]) >= 4 else None
    )
    assert all(isinstance(one, DeadLetter) and one.source_topic == f"{NAMESPACE}_V" for one in found)
    assert {one.original: one.reason for one in found if one.reason != "source"} == bad
    assert sorted(one.reason for one in found) == ["framing", "framing", "source", "time"]
    assert not any(VINS[1] in one.detail for one in found)
    fleet.settle()


def test_what_was_held_back_counts_where_it_belongs_and_what_is_too_old_is_kept(
    fleet: Fleet, adapters: Workers
) -> None:
    fleet.drive(VINS[1], now_ms() - HOUR_MS // 2)
    old = encoder.encoded(encoder.payload(now_ms() - 2 * HOUR_MS, {"VehicleSpeed": ("string_value", "1")}, VINS[2]))
    fleet.publish("V", VINS[2], old)
    fleet.flush()
    fleet.plant.until("what is too old", lambda: fleet.plant.tap.of(topics.LATE))
    fleet.settle()


def test_a_vehicle_that_is_offline_is_unmeasured_and_the_others_are_not(fleet: Fleet, adapters: Workers) -> None:
    silent, source = VINS[3], NAMING.source(VINS[3])
    fleet.link(silent, now_ms(), "DISCONNECTED", "c1")

    def states() -> dict[str, str]:
        fleet.plant.tap.poll()
        known = (entry.record for entry in fleet.plant.tap.of(topics.SLO_STATUS))
        return {s.labels["vehicle"]: s.state for s in known if isinstance(s, SloStatus) and s.slo == "fleet-battery"}

    def others_go_on() -> bool:
        for vin in VINS:
            if vin != silent:
                fleet.drive(vin, now_ms())
        fleet.flush()
        return states().get(source) == "unmeasured"

    fleet.plant.until("a vehicle that is unmeasured", others_go_on, 60)
    assert set(states().values()) == {"healthy", "unmeasured"}
    assert states()[NAMING.source(VINS[0])] == "healthy"
    fleet.settle()


def test_nobody_finds_a_vin_in_what_was_made_of_it(fleet: Fleet, adapters: Workers) -> None:
    for found in read_all(fleet.plant.bootstrap, topics.TELEMETRY, 2).values():
        assert found
        assert not any(b"5YJ3E1EA0KF" in (value or b"") for _, value in found)
