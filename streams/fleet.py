"""Fleet: records of fleet-telemetry in, telemetry and events out. One step for each partition of each of its topics.

What becomes of a record is `fleet.adapter`'s to say; what cannot be read goes to the dead letters with its original bytes. A
replay sends the same records under the same identities, which the aggregate counts once and readers of `logs` show once. It refuses to remember anything that
the log does not decide.
"""

from __future__ import annotations

import dataclasses

from fleet import saved
from fleet.adapter import Adapter, Kind
from fleet.identity import Naming
from fleet.mapping import Mapping
from schemas.corrupt import CorruptRecord
from schemas.logs import encode_logs
from streams import letters, selfmetrics, topics
from streams.producer import Outgoing
from streams.records import Records


class FleetStep:
    """See `streams.step.Step`."""

    urgent = False
    wants_snapshot = False

    def __init__(self, stage: str, topic: str, partition: int, kind: Kind, mapping: Mapping, naming: Naming) -> None:
        self.fence = -1
        self.partition = partition
        self._stage, self._topic = stage, topic
        self._adapter = Adapter(kind, f"{topic}/{partition}", mapping, naming)
        self._out: list[Outgoing] = []
        self._forgotten = 0

    def apply(self, records: Records) -> None:
        """One record after the other."""
        for record in records.after(self.fence):
            try:
                made = self._adapter.take(record.offset, record.timestamp_ms, record.key, record.value)
            except CorruptRecord as error:
                letter = letters.dead(self._topic, self.partition, record, error)
                self._out.append(dataclasses.replace(letter, partition=None))  # its topic may have fewer partitions
            else:
                if made is not None:
                    self._out.append(Outgoing(topics.TELEMETRY, made.source.encode(), made.telemetry))
                    self._out += [Outgoing(topics.LOGS, batch.key, encode_logs(batch)) for batch in made.events]
            self.fence = record.offset

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Nothing here depends on time."""

    def drain(self) -> list[Outgoing]:
        """Telemetry, events and letters, in the order of the log."""
        vehicles = self._adapter.vehicles
        selfmetrics.fleet(
            self._stage,
            self.partition,
            {fate.value: count for fate, count in self._adapter.fates.items()},
            len(vehicles.by_source),
            vehicles.forgotten - self._forgotten,
            self._adapter.beyond,
        )
        self._adapter.fates.clear()
        self._adapter.beyond = 0
        self._forgotten = vehicles.forgotten
        out, self._out = self._out, []
        return out

    def settled(self) -> None:
        """Nothing waits for it here."""

    def snapshot(self) -> bytes:
        """The vehicles as of the fence."""
        return saved.snapshot(self._adapter, self.fence)

    def restore(self, data: bytes) -> None:
        """Inverse of `snapshot`."""
        self.fence = saved.restore(self._adapter, data)
        self._forgotten = self._adapter.vehicles.forgotten

    def close(self) -> None:
        """Take the partition's gauge down."""
        selfmetrics.fleet_left(self._stage, self.partition)
