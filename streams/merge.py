"""Merge and evaluate: partials in; rollups, SLO status and alert transitions out. One step a partition of the partials.

Each partials record goes through `rollups.merge` and, with what it changed, through `alerts.evaluate`, one by one and
in order: the transitions are a function of the log. Alerts do not wait for the timer. What cannot be read or would do
harm becomes a dead letter before it touches any state. It refuses clocks: time is in the partials.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Mapping

import structlog

from alerts.config import Config
from alerts.evaluate import Evaluator
from alerts.incident import incident_key
from alerts.limits import Timing
from alerts.notify import labels_of
from alerts.route import Routes
from rollups import merge_state
from rollups.merge import Merge
from rollups.sound import Soundness
from schemas import codec
from schemas.cells import Cells
from schemas.corrupt import CorruptRecord
from schemas.records import AlertTransition, LateRecord, PartialBatch, RollupBatch, SloGroup, SloStatus, short_hash
from streams import letters, selfmetrics, topics
from streams.producer import Outgoing
from streams.records import Record, Records
from streams.settings import Settings

_SIZES = struct.Struct("<QQ")
STAGE = "merge"
PLACES_TOLD = 5

log = structlog.get_logger(__name__)


class MergeStep:
    """See `streams.step.Step`."""

    wants_snapshot = False

    def __init__(self, partition: int, settings: Settings, config: Config, routes: Routes) -> None:
        self.partition, self._partitions = partition, settings.partitions
        self._soundness = Soundness(settings.partitions)
        self._merge = Merge(partition, settings.partitions, settings.lateness)
        self._evaluator = Evaluator(config, partition, timing=Timing(settings.lateness_ms))
        self._alerts: list[Outgoing] = []
        self._status: dict[bytes, Outgoing] = {}
        self._letters: list[Outgoing] = []
        self._held: Mapping[int, int] = {}
        self._routes = routes
        self._told_of = 0

    @property
    def fence(self) -> int:
        """Last offset of the partials applied."""
        return self._merge.fence

    @property
    def unaccounted(self) -> int:
        """Measurements that the aggregates say they sent and that did not come, or came from nowhere."""
        return self._merge.owing.measurements

    @property
    def urgent(self) -> bool:
        """An alert waits."""
        return bool(self._alerts)

    def apply(self, records: Records) -> None:
        """One record after the other."""
        for record in records:
            if record.offset > self.fence:
                self._one(record)

    def _one(self, record: Record) -> None:
        try:
            batch = codec.decode(record.value)
            if not isinstance(batch, PartialBatch):
                raise letters.misplaced(batch, "partials")
            self._soundness.check(batch)
        except CorruptRecord as error:
            self._merge.fence = self._evaluator.fence = record.offset  # nothing of it was applied
            self._letters.append(letters.dead(topics.PARTIALS, self.partition, record, error))
            return
        step = self._merge.apply(batch, record.offset, record.timestamp_ms)
        beyond = self._merge.take_beyond()
        if len(beyond):
            self._letters.append(self._letter(batch, beyond, record))
        found = self._evaluator.apply(step.slo, step.clock, record.offset, step.as_of, step.exemplars)
        for output in found:
            if isinstance(output, AlertTransition):
                self._alerts.append(self._alert(output))
            else:
                self._status[_status_key(output)] = self._state(output)

    def _letter(self, batch: PartialBatch, rows: Cells, record: Record) -> Outgoing:
        """Rows whose pane the merge has forgotten: kept as they are, for a person to add by hand."""
        selfmetrics.REFUSED.labels("beyond_horizon").inc()
        letter = LateRecord(
            source_topic=topics.PARTIALS,
            partition=self.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp_ms,
            reason="beyond_horizon",
            detail=f"{int(rows.count.sum())} measurements in {len(rows)} rows of source partition {batch.partition}",
            byte=-1,
            original=codec.encode(dataclasses.replace(batch, cells=rows)),
        )
        key = f"{self.partition}/{record.offset}".encode()
        return Outgoing(topics.LATE, key, codec.encode(letter), self.partition)

    def _alert(self, transition: AlertTransition) -> Outgoing:
        """To the partition of the incident that it would be in: all alerts of an incident meet in one place."""
        selfmetrics.TRANSITIONS.labels(transition.severity).inc()
        incident = incident_key(labels_of(transition), self._routes.group_by)
        target = short_hash(incident.encode()) % self._partitions
        return Outgoing(topics.ALERTS, transition.alert_id.encode(), codec.encode(transition), target)

    def _state(self, status: SloStatus) -> Outgoing:
        return Outgoing(topics.SLO_STATUS, _status_key(status), codec.encode(status), self.partition)

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Nothing: time is in the partials."""

    def drain(self) -> list[Outgoing]:
        """Alerts first."""
        alerts, self._alerts = self._alerts, []
        status, self._status = self._status, {}
        rollups = [self._rollup(batch) for batch in self._merge.drain()]
        letters, self._letters = self._letters, []
        selfmetrics.judged(self.partition, {**self._merge.counters, **self._evaluator.counters})
        self._show_held(self._evaluator.held())
        self._balance()
        return [*alerts, *status.values(), *rollups, *letters]

    def _show_held(self, held: Mapping[int, int]) -> None:
        """Which source partitions let alerts wait; said in the log when one begins to, and when none is left."""
        if held.keys() != self._held.keys():
            log.info("alerts_held", partition=self.partition, by_source_partition=dict(held))
        selfmetrics.held(self.partition, self._held, held)
        self._held = held

    def _balance(self) -> None:
        """The books, and where they do not close when that is news."""
        owing = self.unaccounted
        selfmetrics.unaccounted(STAGE, self.partition, owing)
        if owing and owing != self._told_of:
            places = [
                {"source": source, "kind": kind, "pane_ms": pane_ms, "missing": missing}
                for (source, kind, pane_ms), missing in list(self._merge.owing)[:PLACES_TOLD]
            ]
            log.error("unaccounted", stage=STAGE, partition=self.partition, events=owing, places=places)
        self._told_of = owing

    def _rollup(self, batch: RollupBatch) -> Outgoing:
        selfmetrics.ROLLUPS.labels(f"{batch.window_ms // 1000}s").inc(len(batch.cells))
        key = f"{batch.window_ms}/{batch.start_ms}/{batch.partition}/{batch.batch}".encode()
        return Outgoing(topics.ROLLUPS, key, codec.encode(batch), self.partition)

    def settled(self) -> None:
        """Nothing waits for it here."""

    def snapshot(self) -> bytes:
        """Both states; their fences are the same."""
        merged, judged = merge_state.snapshot(self._merge), self._evaluator.snapshot()
        return _SIZES.pack(len(merged), len(judged)) + merged + judged

    def restore(self, data: bytes) -> None:
        """Inverse of `snapshot`."""
        merged, judged = _SIZES.unpack_from(data)
        at = _SIZES.size
        merge_state.restore(self._merge, data[at : at + merged])
        self._evaluator.restore(data[at + merged : at + merged + judged])

    def close(self) -> None:
        """Take the partition's gauges down."""
        selfmetrics.held(self.partition, self._held, {})
        selfmetrics.forget(STAGE, self.partition)


def _status_key(status: SloStatus) -> bytes:
    return SloGroup(status.slo, status.objective, status.labels).canonical()
