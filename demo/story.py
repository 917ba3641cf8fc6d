"""Story: what goes wrong in the demo, when and for whom; the only place where the recorded data is bent.

What: a list of faults on a time line, and questions that sources ask about a moment. Why: the same seed and start give
the same events, so that pages can be predicted and a run repeated. It refuses to know sources or SLOs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

MASK = 2**64 - 1
DAY_MS = 86_400_000


def mix(value: int) -> int:
    """The splitmix64 finaliser: 64 well-mixed bits out of 64 bits (Steele, Lea, Flood 2014)."""
    value &= MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """From `start_ms` to `end_ms` (event time), a share of what the target does goes wrong.

    kind "errors": target is a web service; "misbehaves": a vehicle software version; "offline": a fleet, which sends
    nothing; "delayed": a vehicle, which sends what it measured only at `deliver_ms` (with its original times).
    """

    kind: str
    target: str
    start_ms: int
    end_ms: int
    share: float = 1.0
    deliver_ms: int = 0
    title: str = ""

    def covers(self, kind: str, target: str, time_ms: int) -> bool:
        """Whether this fault is of that kind, hits the target, at that time."""
        return self.kind == kind and self.target == target and self.start_ms <= time_ms < self.end_ms


@dataclasses.dataclass(frozen=True, slots=True)
class Story:
    """Faults and the seed of every draw."""

    seed: int
    faults: Sequence[Fault]

    def strikes(self, kind: str, target: str, time_ms: int, draw: int) -> bool:
        """Whether the event number `draw` of the target goes wrong: one independent draw an event, by the seed."""
        for fault in self.faults:
            if fault.covers(kind, target, time_ms):
                return mix((self.seed * 0x9E3779B97F4A7C15 + draw) & MASK) < fault.share * 2**64
        return False

    def silent(self, kind: str, target: str, time_ms: int) -> bool:
        """Whether a fault of that kind keeps the target from sending at that time."""
        return any(fault.covers(kind, target, time_ms) for fault in self.faults)

    def deliveries(self, target: str, start_ms: int, end_ms: int) -> list[Fault]:
        """Delayed measurements of the target that are delivered in that slice."""
        return [
            fault for fault in self.faults
            if fault.kind == "delayed" and fault.target == target and start_ms <= fault.deliver_ms < end_ms
        ]  # fmt: skip


def script(live_ms: int, seed: int, pace: float = 1.0) -> Story:
    """The demo's story around the moment `live_ms` at which history ends and live begins.

    `pace` stretches it: 1 is the length of a verification (75 s of live data).
    """

    def at(seconds: float) -> int:
        return live_ms + int(seconds * pace * 1000)

    return Story(
        seed,
        (
            Fault("offline", "west", at(4), live_ms + DAY_MS, title="fleet west loses its network"),
            Fault("errors", "shop", at(10), at(42), 0.85, title="service shop answers 5xx"),
            Fault("misbehaves", "4.2", at(16), at(46), 0.9, title="vehicle software 4.2 sends bad signals"),
            Fault("delayed", "vehicle-08", live_ms - 420_000, live_ms - 240_000, deliver_ms=live_ms - 60_000),
            Fault("delayed", "vehicle-12", live_ms - 720_000, live_ms - 660_000, deliver_ms=live_ms - 5_000),
            Fault("delayed", "vehicle-03", at(-90), at(6), deliver_ms=at(30), title="vehicle-03 is in a tunnel"),
            Fault(
                "delayed",
                "vehicle-05",
                live_ms - 7_200_000,
                live_ms - 7_180_000,
                deliver_ms=at(25),
                title="vehicle-05 sends what it measured two hours ago",
            ),
        ),
    )
