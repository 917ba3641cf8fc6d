"""Log pipe: log records and events on their way, beside the measurements and by the same rules.

What: a buffer, a pump, a spool and a way out of their own. Why: a storm of log records must fill its own bounds and push out
no measurement; all that is promised for a batch (synced before it counts as held, the same ids in each try, a new life after
a fork) is the code of the measurements. It refuses to raise from a call that records, and to take part in their hot path.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from time import monotonic

from tocsin import limits, log_record, names, trace
from tocsin.backlog import Memory
from tocsin.buffer import Buffer
from tocsin.errors import InvalidName
from tocsin.log_record import LogEncoder
from tocsin.pump import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tocsin.privacy import Privacy
    from tocsin.spool import Spool
    from tocsin.transport import Transport

MARK = "logs-"  # of its folders in the spool


class LogBuffer(Buffer):
    """Encoded records that wait, bounded in number and in bytes."""

    __slots__ = ("waiting_bytes",)
    rows: list[bytes]

    def reset(self) -> None:
        """As after construction; also in a forked child."""
        super().reset()
        self.waiting_bytes = 0

    def put(self, row: bytes) -> None:
        """Take one, or count why not."""
        waiting = len(self.rows)
        if waiting >= self.room and not self.make_room():
            return
        with self.lock:
            if self.waiting_bytes + len(row) > limits.LOG_BUFFER_BYTES:
                self.refuse("full")
                return
            self.waiting_bytes += len(row)
            self.rows.append(row)
        if waiting >= self.soon:
            self.soon = min(self.room, waiting + self.wake_at)
            self.wakeups.put(None)

    def take(self, most: int) -> list[bytes]:
        """See Buffer."""
        rows = super().take(most)
        with self.lock:
            self.waiting_bytes -= sum(map(len, rows))
        return rows


class LogPipe:
    """One client's log records. `possible`: whether the transport has a way for them; else each is refused."""

    def __init__(
        self,
        settled: Mapping[str, Any],
        source: str,
        resource: bytes,
        privacy: Privacy,
        transport: Transport,
        possible: bool,
        boot: str,
        spool: Spool | None,
        report: Callable[[], None],
    ) -> None:
        self._source, self._service, self._resource, self._privacy = source, settled["service"], resource, privacy
        self.possible = possible
        self.spool = spool
        self.given_up = 0
        self._looked = False  # whether an earlier life's spool was thought of
        self.buffer = LogBuffer(limits.LOG_BUFFER_RECORDS, limits.LOG_WAKE_AT, self._start, muted=settled["disabled"])
        self.pump = Pump(
            self.buffer, [], self._encoder(boot), transport, spool or Memory(limits.LOG_HELD_BYTES), limits.LOG_BATCH_RECORDS, limits.LOG_HELD_BYTES,
            settled["flush_interval"], report, spool.pace.outage if spool else _nothing,
        )  # fmt: skip

    def _encoder(self, boot: str) -> LogEncoder:
        return LogEncoder(self._source, self._service, boot, self._resource)

    def _start(self) -> None:
        self.pump.start()

    def put(
        self, event: str, body: object, severity: object, time_ms: int | None, attributes: Mapping[Any, object]
    ) -> None:
        """Record one, or count why not. Never raises."""
        buffer = self.buffer
        try:
            if buffer.muted:
                return
            if not self.possible:
                buffer.refuse("transport")
                return
            if event:
                names.metric(event)
            if not isinstance(body, str):
                buffer.refuse("type")
                return
            found = log_record.severity(severity)
            if found is None:
                buffer.refuse("severity")
                return
            now = buffer.anchor.wall_ms()
            if time_ms is None:
                time_ms = now
            elif not 0 <= time_ms < limits.TIME_BOUND_MS:
                buffer.refuse("time")
                return
            kept = self._privacy.apply(attributes)
            left_out = len(attributes) - len(kept)
            buffer.put(log_record.encoded(int(time_ms), now, *found, event, body, kept, trace.here(), left_out))
        except InvalidName:
            buffer.refuse("name")
        except Exception:  # noqa: BLE001 - a wrong type, whatever its own methods raise: the host must not notice
            buffer.refuse("type")

    def look(self) -> None:
        """Once: send what an earlier life left in the spool, also when this one writes no record."""
        if self._looked or self.spool is None:
            return
        self._looked = True
        if self.spool.lives.left_behind():
            self._start()

    @property
    def idle(self) -> bool:
        """Whether nothing was ever recorded, and nothing is being sent."""
        return self.buffer.room == 0 and not self.pump.left

    def flush(self, timeout: float) -> bool:
        """Send everything and wait up to so many seconds. True if nothing is left."""
        return self.idle or self.pump.flush(timeout)

    def commit(self, timeout: float) -> bool:
        """True if all that was recorded before is synced in the spool, or acknowledged."""
        if self.idle:
            return True
        return self.pump.commit(timeout) if self.spool else self.pump.flush(timeout)

    def close(self, timeout: float) -> bool:
        """Stop recording, flush, stop the thread, within so many seconds. True if nothing had to be given up."""
        if self.buffer.closed:
            return self.given_up == 0
        idle, end = self.idle, monotonic() + timeout
        self.buffer.shut()
        if not idle:
            self.pump.stop(timeout)
            done = self.pump.flush(max(0.0, end - monotonic()))
            self.given_up = 0 if done else len(self.buffer.rows) + self.buffer.held
        self.pump.close()
        return self.given_up == 0

    def start_afresh(self) -> None:
        """In a forked child."""
        self.buffer.reset()
        encoder = self._encoder(os.urandom(8).hex())
        self.pump.reset(encoder)
        self.pump.backlog.reset(encoder.boot)
        self._looked = False


def _nothing() -> None:
    """Nobody needs to know of an outage."""
