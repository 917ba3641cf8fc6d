"""Vehicles that publish, and what is to be found of them.

What: `Fleet` publishes signals, alerts, errors and connections in both encodings, by an encoder that shares nothing with the
adapter, sends some of it again, and books beside the making of each record what is to come of it. Why: what is expected must
not be worked out by what is judged. It refuses to wait for a time: `settle` waits for the books to be met.
"""

from __future__ import annotations

import collections
import dataclasses
import random

from confluent_kafka import Producer

from demo.audit import TOPICS as AUDITED
from demo.audit import Audit
from fleet.identity import Naming
from streams import topics
from tests.fleet import encoder
from tests.fleet.reader import measurements
from tests.integration.plant import PARTITIONS, Plant, rows_of
from tests.streams.broker import read_all

NAMESPACE = "cars"
SECRET = "ours"
NAMING = Naming(secret=SECRET)
VINS = [f"5YJ3E1EA0KF{number:06}" for number in range(12)]
WINDOW_MS = 10_000
TOLD = ("fate", "name", "phase", "event", "state", "vehicle")
#: (metric, the labels that say something here) of one window -> (measurements, their sum)
Key = tuple[str, tuple[tuple[str, str], ...], int]
#: An event: source, its name, the alert's or error's name, phase, time.
Told = tuple[str, str, str, str, int]


@dataclasses.dataclass
class Fleet:
    """Vehicles that publish, and what is to be found of it."""

    plant: Plant
    expected: collections.Counter[Key] = dataclasses.field(default_factory=collections.Counter)
    sums: collections.Counter[Key] = dataclasses.field(default_factory=collections.Counter)
    told: collections.Counter[Told] = dataclasses.field(default_factory=collections.Counter)

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
        key = (metric, tuple(sorted(labels.items())), at // WINDOW_MS * WINDOW_MS)
        self.expected[key] += 1
        self.sums[key] += value

    def drive(self, vin: str, at: int, true_up: bool = True) -> None:
        """One moment of a vehicle: signals, sent again in one way or another. `true_up`: it may be its newest, which alone is held
        against what is sent a moment later."""
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
        elif again < 0.5 and true_up:  # a true-up a moment later, in which one value is new
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
        for phase, moment in (("started", at), ("ended", at + 500)):
            self.expect(moment, "vehicle.alerts", name="BMS_a001", phase=phase)
            self.told[NAMING.source(vin), "vehicle.alert", "BMS_a001", phase, moment] += 1
        for _ in range(2):
            self.publish("errors", vin, encoder.encoded(encoder.errors(at, [("cam", at)], vin), as_json=True))
        self.expect(at, "vehicle.errors", name="cam")
        self.told[NAMING.source(vin), "vehicle.error", "cam", "", at] += 1

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

    @property
    def wanted(self) -> dict[Key, tuple[int, float]]:
        """What is to be found."""
        return {key: (count, self.sums[key]) for key, count in self.expected.items()}

    def settle(self) -> None:
        """Every measurement is found, once."""
        wanted = self.wanted
        try:
            self.plant.until("every measurement", lambda: self.found() == wanted, 90)
        except AssertionError:
            found = self.found()
            for key in sorted(wanted.keys() | found.keys()):
                if wanted.get(key) != found.get(key):
                    print(key, "wanted", wanted.get(key), "found", found.get(key))
            raise

    def in_telemetry(self) -> tuple[dict[Key, tuple[int, float]], int]:
        """What the adapters sent, each record once by its identity as the aggregate takes it; how many were repeats."""
        values = self._sent()
        out: dict[Key, tuple[int, float]] = {}
        for one in measurements(values):
            labels = tuple(sorted(pair for pair in one.labels.items() if pair[0] in TOLD))
            key = (one.metric, labels, one.time_ms // WINDOW_MS * WINDOW_MS)
            count, total = out.get(key, (0, 0.0))
            out[key] = (count + 1, total + one.value)
        return out, len(values) - len(set(values))

    def online(self, vin: str) -> tuple[int, float]:
        """(time, value) of the newest `vehicle.online` that the adapters sent of a vehicle."""
        mine = (one for one in measurements(self._sent()) if one.labels.get("vehicle") == NAMING.source(vin))
        return max((one.time_ms, one.value) for one in mine if one.metric == "vehicle.online")

    def _sent(self) -> list[bytes]:
        read = read_all(self.plant.bootstrap, topics.TELEMETRY, PARTITIONS)
        return [value for found in read.values() for _, value in found if value is not None]

    def in_logs(self) -> collections.Counter[Told]:
        """The events that `tocsin logs` shows."""
        shown = self.plant.tocsin("logs", "--service", "fleet", "--since", "1h", "-n", "0", "--json")
        assert shown.code == 0, shown.err
        return collections.Counter(
            (row["source"], row["event"], said["name"], said.get("phase", ""), row["time_ms"])
            for row in rows_of(shown.out)
            if (said := row["attributes"])
        )
