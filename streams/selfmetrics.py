"""Our own metrics: the one list of names, and the only file that imports prometheus_client.

What: the names, their labels, and small functions that fill them. Why: a metric's name is an interface, so all stand in
one place. It refuses labels without a bound: stage is one of three (of an adapter, of four), partition is bounded by the topic, reasons are an
enumeration of the rooms.
"""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

from schemas.records import SourceKind

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)

RECORDS = Counter("tocsin_input_records", "Kafka records applied", ["stage"])
BYTES = Counter("tocsin_input_bytes", "Bytes of the records applied", ["stage"])
APPLY = Counter("tocsin_apply_seconds", "Time spent applying records", ["stage"])
LAG = Gauge("tocsin_lag_records", "Records between the fence and the end of the partition", ["stage", "partition"])
EVENT_LAG = Gauge("tocsin_event_lag_seconds", "Now minus the newest event time, by kind of source", ["source_kind"])
CHECKPOINT = Histogram("tocsin_checkpoint_seconds", "One checkpoint, deliveries included", ["stage"], buckets=_SECONDS)
SNAPSHOT = Histogram("tocsin_snapshot_seconds", "Making a snapshot's bytes", ["stage"], buckets=_SECONDS)
STATE_BYTES = Gauge("tocsin_state_bytes", "Bytes of the last snapshot", ["stage"])
RESTORE = Histogram("tocsin_restore_seconds", "Loading one partition's state", ["stage"], buckets=_SECONDS)
MEASUREMENTS = Counter("tocsin_measurements", "Measurements by what became of them", ["fate"])
SKEW = Counter(
    "tocsin_skew_corrected",
    "Measurements moved since their source's clock was ahead or behind; unclear: wrong, and left as they were",
    ["clock"],
)
UNACCOUNTED = Gauge(
    "tocsin_unaccounted_events",
    "What came in and is not found again; aggregate and merge: measurements, notify: deliveries. 0 unless we are wrong",
    ["stage", "partition"],
)
REFUSED = Counter("tocsin_refused_records", "Records copied to the dead letter or late topic", ["reason"])
OUTPUTS_REFUSED = Counter(
    "tocsin_outputs_refused", "Records that the broker refused for good and that left in another form", ["topic"]
)
SERIES = Gauge("tocsin_series", "Active series", ["partition"])
ROLLUPS = Counter("tocsin_rollups", "Rollup rows written", ["what"])
TRANSITIONS = Counter("tocsin_alert_transitions", "Alert transitions", ["severity"])
DELIVERIES = Gauge(
    "tocsin_deliveries", "The outbox's counters: offered, attempts, delivered, failed and why", ["partition", "what"]
)
JUDGED = Gauge(
    "tocsin_merge", "Counters of the merge and the evaluation: rows, corrections, drops", ["partition", "what"]
)
STALE = Counter("tocsin_stale_chunks", "Chunks dropped since a rebalance came between", ["stage"])
HELD_BACK = Counter("tocsin_held_back", "Times that reading waited for deliveries", ["stage"])
HOLES = Counter("tocsin_log_hole_records", "Offsets that the log itself lacks: compaction, transactions", ["topic"])
STARTED = Gauge(
    "tocsin_worker_started_seconds", "When this worker started, in seconds since the epoch; changes are restarts"
)
CLOCK_STEPS = Counter("tocsin_clock_steps", "Times that the wall clock was set by more than a second", ["direction"])
CLOCK_AHEAD = Gauge(
    "tocsin_clock_ahead_seconds", "Wall clock less the worker's own time, which is drawn towards it by a tenth"
)
HELD = Gauge(
    "tocsin_alerts_held",
    "Alerts that do not resolve or fall before a source partition that lags has told its share",
    ["partition", "source_partition"],
)
BROKER_REFUSALS = Counter(
    "tocsin_broker_refusals", "Times that a broker did not let us: authentication, authorization, tls", ["reason"]
)
FLEET_SIGNALS = Counter("tocsin_fleet_signals", "Signals of vehicles by what became of them", ["fate"])
FLEET_VEHICLES = Gauge("tocsin_fleet_vehicles", "Vehicles that the adapter remembers", ["stage", "partition"])
FLEET_FORGOTTEN = Counter("tocsin_fleet_vehicles_forgotten", "Vehicles forgotten since there were too many", ["stage"])
FLEET_BEYOND = Counter(
    "tocsin_fleet_reports_beyond", "Alerts and errors beyond those that are remembered of a vehicle", ["stage"]
)
RSS = Gauge("tocsin_rss_bytes", "Resident memory of this worker")


class StageMetrics:
    """What a stage reports."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._records, self._bytes, self._apply = RECORDS.labels(stage), BYTES.labels(stage), APPLY.labels(stage)
        self._checkpoint, self._snapshot = CHECKPOINT.labels(stage), SNAPSHOT.labels(stage)
        self._stale, self._held_back = STALE.labels(stage), HELD_BACK.labels(stage)
        self.restores = 0

    def applied(self, records: int, size: int, seconds: float) -> None:
        """A chunk was applied."""
        self._records.inc(records)
        self._bytes.inc(size)
        self._apply.inc(seconds)

    def stale(self) -> None:
        """A chunk of an older generation was dropped; it is read again by whoever holds its partition."""
        self._stale.inc()

    def held_back(self) -> None:
        """Reading waits for deliveries."""
        self._held_back.inc()

    def checkpointed(self, seconds: float) -> None:
        """A checkpoint is done."""
        self._checkpoint.observe(seconds)

    def snapshot(self, seconds: float, size: int) -> None:
        """A snapshot was made."""
        self._snapshot.observe(seconds)
        STATE_BYTES.labels(self._stage).set(size)

    def restored(self, seconds: float, size: int) -> None:
        """A partition's state was loaded."""
        self.restores += 1
        RESTORE.labels(self._stage).observe(seconds)
        STATE_BYTES.labels(self._stage).set(size)

    def lag(self, partition: int, records: int | None) -> None:
        """How far behind; None while the end is unknown."""
        if records is not None:
            LAG.labels(self._stage, str(partition)).set(records)

    def left(self, partition: int) -> None:
        """The partition is somebody else's: take its gauge down."""
        LAG.remove_by_labels({"stage": self._stage, "partition": str(partition)})


def fates(before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Add what a step's counters gained since `before`."""
    for fate, count in now.items():
        gained = count - before.get(fate, 0)
        if gained > 0:
            MEASUREMENTS.labels(fate).inc(gained)


def skewed(before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Add what a step's counters of wrong clocks gained since `before`."""
    for clock, count in now.items():
        SKEW.labels(clock).inc(max(count - before.get(clock, 0), 0))


def series(partition: int, active: int) -> None:
    """State of one source partition."""
    SERIES.labels(str(partition)).set(active)


def unaccounted(stage: str, partition: int, count: int) -> None:
    """The books of one stage's partition."""
    UNACCOUNTED.labels(stage, str(partition)).set(count)


def refused(reason: str) -> None:
    """A broker did not let us."""
    BROKER_REFUSALS.labels(reason).inc()


def holes(topic: str, offsets: int) -> None:
    """The log of a partition was found to lack offsets."""
    HOLES.labels(topic).inc(offsets)


def forget(stage: str, partition: int) -> None:
    """The partition is somebody else's: take its gauges down."""
    UNACCOUNTED.remove_by_labels({"stage": stage, "partition": str(partition)})
    if stage == "aggregate":
        SERIES.remove_by_labels({"partition": str(partition)})


def event_lag(kind: int, newest_ms: int, now_ms: int) -> None:
    """How old the newest measurement of a kind of source is."""
    if newest_ms > 0:
        EVENT_LAG.labels(SourceKind(kind).name.lower()).set((now_ms - newest_ms) / 1000)


def clock_stepped(by_s: float) -> None:
    """The wall clock was set."""
    CLOCK_STEPS.labels("forward" if by_s > 0 else "back").inc()


def held(partition: int, before: Mapping[int, int], now: Mapping[int, int]) -> None:
    """Alerts of a partition that wait, by the source partition that they wait for; those of `before` are taken down."""
    for source in before.keys() - now.keys():
        HELD.remove(str(partition), str(source))
    for source, count in now.items():
        HELD.labels(str(partition), str(source)).set(count)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def deliveries(partition: int, counters: Mapping[str, int]) -> None:
    """The outbox's own counters; they are part of its state, so they are set and not added."""
    for what, count in counters.items():
        DELIVERIES.labels(str(partition), what).set(count)


def judged(partition: int, counters: Mapping[str, int]) -> None:
    """The merge's and the evaluator's own counters; they are part of their state, so they are set and not added."""
    for what, count in counters.items():
        JUDGED.labels(str(partition), what).set(count)


def fleet(stage: str, partition: int, fates: Mapping[str, int], vehicles: int, forgotten: int, beyond: int) -> None:
    """What became of signals since the last time, who is remembered, and what could not be."""
    for fate, count in fates.items():
        FLEET_SIGNALS.labels(fate).inc(count)
    FLEET_VEHICLES.labels(stage, str(partition)).set(vehicles)
    FLEET_FORGOTTEN.labels(stage).inc(forgotten)
    FLEET_BEYOND.labels(stage).inc(beyond)


def fleet_left(stage: str, partition: int) -> None:
    """The partition is somebody else's: take its gauge down."""
    FLEET_VEHICLES.remove_by_labels({"stage": stage, "partition": str(partition)})
