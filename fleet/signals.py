"""Signals: topic V to measurements, each reading once.

What: gauges of numbers and flags, counters of states, how many signals came and what became of them, and that the vehicle is
online. Why a counter for a state: each report adds one to the series of the state that it names, so that a share of reports
is a ratio of counters, as an SLO wants it. A resend merges: what it says of a signal counts if it was not said before at that
time, and differs from the newest value that is known. It refuses to fill gaps.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

from fleet.limits import TEXT_CHARS
from fleet.mapping import Mapping, Rule
from fleet.memory import Kept, Known, Vehicle
from fleet.messages import Flags, Signals, SignalValue, State
from fleet.reading import NO_STATE, Fate, Reading, read
from fleet.rows import Labels, Row
from schemas.records import MeasureKind

SIGNALS = "vehicle.signals"
ONLINE = "vehicle.online"
_RECORD = 0  # the bit of the record itself among those of its signals, two each: of a reading and of a gap


def rows_of(
    message: Signals, arrived_ms: int, vehicle: Vehicle, source: str, mapping: Mapping, known: Known
) -> tuple[list[Row], collections.Counter[Fate]]:
    """The measurements, and how many signals came to which fate. Which value is the newest is decided by times that are not
    beyond the record's arrival: a clock that was ahead once would else stop all that follows it."""
    at, fates = message.created_ms, collections.Counter[Fate]()
    newest_ms = min(at, arrived_ms)
    rows: list[Row] = []
    fresh = vehicle.seen.first(at, _RECORD, again=message.resent)
    for signal, value in message.values:
        _follow(vehicle, mapping, signal, value, newest_ms)
    labels = followed(vehicle, mapping, known)
    for signal, value in message.values:
        rule = mapping.rules.get(signal)
        if rule is None:
            fates[Fate.UNMAPPED] += 1
            continue
        found = _judged(message, newest_ms, vehicle, signal, rule, value)
        if isinstance(found, Fate):
            fates[found] += 1
            continue
        fates[Fate.READ] += 1
        own = (*labels, ("vehicle", source)) if rule.vehicle else labels
        rows += _measurements(rule, found, own, at)
    rows += [
        Row(SIGNALS, MeasureKind.COUNTER, "1", (*labels, ("fate", fate.value)), at, float(count))
        for fate, count in fates.items()
        if fate is not Fate.UNMAPPED
    ]
    if fresh:
        rows.append(Row(ONLINE, MeasureKind.GAUGE, "1", (*labels, ("vehicle", source)), at, 1.0))
    return rows, fates


def followed(vehicle: Vehicle, mapping: Mapping, known: Known) -> Labels:
    """The labels of all that a vehicle says: the mapping's own, and the newest values of what it follows."""
    found = [
        (label, known.admitted(label, vehicle.about[signal][1]))
        for signal, label in mapping.follow.items()
        if signal in vehicle.about
    ]
    return (*mapping.labels, *found)


def _follow(vehicle: Vehicle, mapping: Mapping, signal: int, value: SignalValue, at: int) -> None:
    if signal not in mapping.follow or vehicle.about.get(signal, (at, ""))[0] > at:
        return
    if isinstance(value, State) and value.name not in NO_STATE:
        vehicle.about[signal] = (at, value.name)
    elif isinstance(value, str) and value.strip():
        vehicle.about[signal] = (at, value.strip()[:TEXT_CHARS])


def _judged(message: Signals, at: int, vehicle: Vehicle, signal: int, rule: Rule, value: SignalValue) -> Reading | Fate:
    """The reading if it counts, else its fate."""
    found = read(value, rule)
    gap = isinstance(found, Fate)
    if not vehicle.seen.first(message.created_ms, 2 * signal + gap, again=message.resent):
        return Fate.REPEATED
    if isinstance(found, Fate):
        return found
    newest, kept = vehicle.newest.get(signal), _kept(found)
    if newest is None or newest[0] <= at:
        vehicle.newest[signal] = (at, kept)
        if message.resent and newest is not None and newest[1] == kept:
            return Fate.REPEATED  # a resend is a true-up: what it says once more was counted
    return found


def _kept(reading: Reading) -> Kept:
    if isinstance(reading, State):
        return reading.name
    return "".join("01"[on] for on in reading.of.values()) if isinstance(reading, Flags) else reading


def _measurements(rule: Rule, reading: Reading, labels: Labels, at: int) -> Iterator[Row]:
    if isinstance(reading, State):
        yield Row(rule.metric, MeasureKind.COUNTER, rule.unit, (*labels, ("state", reading.name)), at, 1.0)
    elif isinstance(reading, Flags):
        for part, on in reading.of.items():
            yield Row(rule.metric, MeasureKind.GAUGE, rule.unit, (*labels, ("part", part)), at, float(on))
    else:
        yield Row(rule.metric, MeasureKind.GAUGE, rule.unit, labels, at, reading)
