"""Vehicles: 28 recorded drives, replayed as 28 vehicles of three fleets.

What: speed, engine speed, throttle, acceleration and an outcome per sample, in integer units (thousandths), so that
sums can be compared exactly. Why: real signals have gaps, repeats and jumps that invented ones do not. It refuses to
smooth them: a sensor that was silent in the recording is silent here.
"""

from __future__ import annotations

import csv
import dataclasses
import gzip
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tocsin import Client

from demo.story import Story

DRIVES = Path(__file__).parent.parent / "data" / "vehicle_drives.csv.gz"

#: Fleet and software version of each vehicle, by its number modulo the length. Version 4.0 is only driven in the west.
ASSIGNMENT = (
    ("north", "4.1"), ("north", "4.2"), ("south", "4.1"), ("south", "4.2"), ("north", "4.1"), ("south", "4.1"),
    ("west", "4.0"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """One second of a drive in thousandths: mi/h, rev/min, percent, g. None where the sensor was silent."""

    speed: int | None
    engine: int | None
    throttle: int | None
    acceleration: int | None


def thousandths(text: str) -> int | None:
    """A recorded number in thousandths, rounded; None for `NA`."""
    return None if text in ("NA", "") else round(float(text) * 1000)


def drives(path: Path = DRIVES) -> list[list[Sample]]:
    """The recorded drives, each in the order of its recording."""
    found: dict[str, list[Sample]] = {}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            along = thousandths(row["accel_x"])
            sample = Sample(
                thousandths(row["speed_mph"]),
                thousandths(row["engine_rpm"]),
                thousandths(row["engine_throttle"]),
                None if along is None else abs(along),
            )
            found.setdefault(row["drive"], []).append(sample)
    return list(found.values())


class Vehicle:
    """One vehicle: a drive in an endless loop, one sample each `interval_ms` of event time."""

    def __init__(self, number: int, drive: Sequence[Sample], story: Story, connect: Callable[..., Client]) -> None:
        self.name = f"vehicle-{number:02d}"
        self.fleet, self.version = ASSIGNMENT[number % len(ASSIGNMENT)]
        self.number = number
        self.drive = drive
        self.story = story
        self.client = connect(
            source=self.name, kind="vehicle", service="fleet", version=self.version, region=self.fleet
        )
        self.speed = self.client.gauge("vehicle.speed", unit="m[mi_i]/h", vehicle=self.name)
        self.engine = self.client.gauge("vehicle.engine.speed", unit="m{rev}/min", vehicle=self.name)
        self.throttle = self.client.gauge("vehicle.engine.throttle", unit="m%", vehicle=self.name)
        self.acceleration = self.client.histogram("vehicle.acceleration", unit="m[g]")
        self.signal = self.client.outcome("vehicle.signal", unit="m[mi_i]/h")

    def times(self, start_ms: int, end_ms: int, interval_ms: int) -> Iterator[int]:
        """Event times in the slice. Each vehicle has its own phase, so that they do not all speak at once."""
        phase = self.number * 37 % interval_ms
        first = -(-(start_ms - phase) // interval_ms)
        last = -(-(end_ms - phase) // interval_ms)
        return (index * interval_ms + phase for index in range(first, last))

    def emit(self, start_ms: int, end_ms: int, interval_ms: int) -> None:
        """Record what this vehicle sends in the slice: the present, and what a lost connection held back."""
        for fault in self.story.deliveries(self.name, start_ms, end_ms):
            self.client.flush(0)  # old and new measurements in one record would share its fate
            for time_ms in self.times(fault.start_ms, fault.end_ms, interval_ms):
                self.record(time_ms, interval_ms)
            self.client.flush(0)
        for time_ms in self.times(start_ms, end_ms, interval_ms):
            if not self.story.silent("delayed", self.name, time_ms):
                self.record(time_ms, interval_ms)

    def record(self, time_ms: int, interval_ms: int) -> None:
        """Record the sample of one moment, unless the fleet is offline then."""
        if self.story.silent("offline", self.fleet, time_ms):
            return
        index = time_ms // interval_ms
        sample = self.drive[index % len(self.drive)]
        bad = self.story.strikes("misbehaves", self.version, time_ms, index * 64 + self.number)
        if sample.speed is not None:
            self.speed.set(sample.speed, time_ms)
        if sample.engine is not None:
            self.engine.set(sample.engine, time_ms)
        if sample.throttle is not None:
            self.throttle.set(sample.throttle, time_ms)
        if sample.acceleration is not None:
            self.acceleration.record(sample.acceleration, time_ms)
        self.signal.observe(not bad, sample.speed or 0, time_ms=time_ms)


class Vehicles:
    """The whole fleet as one source of the demo."""

    def __init__(
        self,
        story: Story,
        connect: Callable[..., Client],
        interval_ms: int = 1000,
        recorded: list[list[Sample]] | None = None,
    ) -> None:
        self.interval_ms = interval_ms
        self.members = [
            Vehicle(number, drive, story, connect) for number, drive in enumerate(recorded or drives(), start=1)
        ]
        self.clients = [vehicle.client for vehicle in self.members]

    def emit(self, start_ms: int, end_ms: int) -> None:
        """Record the slice for every vehicle."""
        for vehicle in self.members:
            vehicle.emit(start_ms, end_ms, self.interval_ms)
