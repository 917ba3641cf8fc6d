"""Spool: encoded batches on the disk until they are acknowledged; the promise is made when the disk has them.

What: appends a group of batches, syncs once, and only then says that they are held; gives them out oldest or newest
first; takes over what earlier runs left behind; stays within bytes and age. Why: a vehicle is offline for days, a process
is killed in the middle of a write, a disk fills up: none of that may lose what was promised. It refuses to lose quietly:
what it has to drop, and what the disk no longer has whole, is counted by reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from time import monotonic

from tocsin import clock, limits, segment
from tocsin.disk import Disk
from tocsin.encode import Batch
from tocsin.lives import Life, Lives
from tocsin.pace import Pace
from tocsin.part import MARKS, SEGMENT, SHORT, Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REFUSE, DROP_OLDEST = "refuse", "drop_oldest"
OLDEST, NEWEST = "oldest_first", "newest_first"
AGED, FULL, DAMAGED = "aged", "spool_full", "damaged"


class Spool:
    """One client's part of a spool folder, and what it adopted. Used under the pump's lock only.

    `most`: bytes, adopted ones included. `age`: seconds after which a batch is dropped. `full`: refuse or drop_oldest.
    `order`: oldest_first or newest_first (by segments; within one always in order).
    """

    promises = True

    def __init__(
        self,
        lives: Lives,
        boot: str,
        most: int,
        age: float,
        full: str,
        order: str,
        pace: Pace,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.lives, self.disk = lives, lives.disk
        self.most, self.age, self.full, self.order, self.pace = most, age, full, order, pace
        self._now = now
        self._machine = segment.machine_id(clock.machine_boot())
        self.parts: list[Part] = []  # oldest first; the one that is written last
        self._lives: list[Life] = []
        self._writing = -1
        self.reset(boot)

    def reset(self, boot: str) -> None:
        """As after construction; in a forked child the files and locks are the parent's: only our copies are closed."""
        for part in self.parts:
            part.close()
        for life in self._lives:
            life.leave()
        if self._writing >= 0:
            os.close(self._writing)
        self.boot = boot
        self.parts, self._lives, self._writing = [], [], -1
        self._life: Life | None = None
        self._active: Part | None = None
        self._folder_synced = False
        self._number = 0
        self._pending: list[Batch] = []
        self._pending_bytes = 0
        self._promised = 0  # measurements on the disk, not yet told
        self._retry_at = self._look_at = 0.0
        self.dropped: dict[str, int] = {}  # measurements, by reason
        self.damaged = 0  # stretches of files that could not be read
        self.recovered = 0  # measurements that earlier lives left, as far as they were read
        self.syncs = 0
        self.trouble = ""  # what the disk said last
        self._short = False  # that what was said is that nothing more can be opened
        self._closed = False

    # -- the pump's side

    @property
    def open(self) -> bool:
        """Whether new batches may be added to the group, and there is room for it."""
        if self._closed or self._pending_bytes >= limits.GROUP_BYTES:
            return False
        return self.full == DROP_OLDEST or self.held_bytes + limits.RECORD_BYTES <= self.most

    @property
    def held_bytes(self) -> int:
        """On the disk, as far as this process owns them."""
        return sum(part.size for part in self.parts)

    @property
    def rows(self) -> int:
        """Measurements held, of this life and of those that were read."""
        return sum(part.rows for part in self.parts)

    @property
    def left(self) -> bool:
        """Whether anything is still to be sent, or to be written."""
        return not self._closed and (bool(self._pending) or any(part.unsent for part in self.parts))

    def add(self, batches: list[Batch]) -> None:
        """Take new batches; nothing is promised before `commit`."""
        self._pending += batches
        self._pending_bytes += sum(batch.size for batch in batches)

    def commit(self) -> int:
        """Write what was added and sync once: measurements that are held from now on. 0 while the disk does not let us."""
        if not self._pending or self._now() < self._retry_at:
            return 0
        try:
            self._write(self._pending.copy())
            self.trouble = ""
        except OSError as error:
            self.trouble = str(error)
            self._retry_at = self._now() + limits.DISK_RETRY
            self._abandon()
        if self.full == DROP_OLDEST:
            self._shrink()
        promised, self._promised = self._promised, 0
        return promised

    def next(self) -> Batch | None:
        """The next batch, of the oldest or newest segment; None when there is none, or not yet."""
        if self._closed:
            return None
        self._adopt()
        ordered = list(self.parts) if self.order == OLDEST else self.parts[::-1]
        for part in ordered:
            while part.unsent:
                if part.entries is None:
                    if not self._load(part):
                        return None
                    continue
                entry = part.entries[part.position]
                if self._seconds_old(entry) > self.age:
                    part.take()
                    self._drop(part, entry, AGED)
                    continue
                old = self._seconds_old(entry) > limits.CATCH_UP_AGE
                if old and not self.pace.allows():
                    if self.order == OLDEST:
                        return None
                    break
                try:
                    batch = part.read(entry, self._machine)
                except OSError as error:
                    self._run_short(error)
                    return None
                part.take()
                if self._short:
                    self._short, self.trouble = False, ""
                if batch is None:
                    self.damaged += 1
                    self._drop(part, entry, DAMAGED)
                    continue
                if old:
                    self.pace.spend(batch.size)
                return batch
            self._retire(part)
        return None

    def done(self, batch: Batch) -> int:
        """It came to its end; the memory of its measurements was free already."""
        part, entry = batch.place
        part.finish(entry, self.disk)
        self._retire(part)
        return 0

    def close(self) -> None:
        """Let go, and give out nothing more; folders without anything left are removed. The counts stay."""
        self._closed = True
        active, self._active = self._active, None
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1
        if active is not None:
            self._retire(active)
        for part in self.parts:
            part.close()
        for life in self._lives:
            life.remove(self.disk)
        self._lives, self._life = [], None

    # -- writing

    def _write(self, batches: list[Batch]) -> None:
        """All of it, in as many segments as it takes; on the disk when this returns. Raises OSError."""
        wall, forward = clock.wall_ms(), clock.forward_ms()
        part = self._active or self._begin()
        group: list[bytes] = []
        entries: list[segment.Entry] = []
        end = part.size
        for batch in batches:
            if end and end + batch.size > limits.SEGMENT_BYTES:
                self._append(part, group, entries)
                part, group, entries, end = self._begin(), [], [], 0
            data, entry = segment.record(batch, end, wall, forward, self._machine)
            group.append(data)
            entries.append(entry)
            end = entry.end
        self._append(part, group, entries)

    def _append(self, part: Part, group: list[bytes], entries: list[segment.Entry]) -> None:
        """Append records and sync: they are no longer pending. Raises OSError."""
        if not entries:
            return
        self.disk.write(self._writing, b"".join(group))
        self.disk.sync(self._writing)
        if not self._folder_synced:
            self.disk.sync_folder(part.life.path)
            self._folder_synced = True
        self.syncs += 1
        part.append(entries)
        written, self._pending = self._pending[: len(entries)], self._pending[len(entries) :]
        self._pending_bytes -= sum(batch.size for batch in written)
        self._promised += sum(entry.rows for entry in entries)

    def _begin(self) -> Part:
        """A new segment, empty. Raises OSError."""
        if self._life is None:
            life = self.lives.make(self.boot)
            self._lives.append(life)
            self._life = life
        part = Part(self._life, f"{self._number:08d}", 0)
        self._number += 1
        descriptor = self.disk.create(part.path)
        self._end()
        self._writing, self._folder_synced = descriptor, False
        part.entries = []
        self._active = part
        self.parts.append(part)
        return part

    def _end(self) -> None:
        """Write no more to the segment that is written."""
        part, self._active = self._active, None
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1
        if part is not None:
            if part.position == 0 and part.left:
                part.entries = None  # nothing of it is being sent: it is read again when its turn comes
            self._retire(part)

    def _abandon(self) -> None:
        """The disk did not take what was to be appended: cut it off, and go on in a new segment.

        After a sync that failed nobody knows what of the file is on the disk beyond the sync before.
        """
        if self._active is not None:
            with contextlib.suppress(OSError):
                self.disk.truncate(self._writing, self._active.size)
        self._end()

    # -- keeping

    def _adopt(self) -> None:
        """Take over, now and then, what processes left behind that are no more."""
        if self._now() < self._look_at:
            return
        self._look_at = self._now() + limits.ADOPT_EVERY
        adopted: list[Part] = []
        for life in self.lives.adopt({life.path for life in self._lives}):
            try:
                sizes = [(name, os.stat(life.file(name)).st_size) for name in life.names(SEGMENT)]
            except OSError:
                life.leave()
                continue
            self._lives.append(life)
            adopted += [Part(life, name.removesuffix(SEGMENT), size) for name, size in sizes]
            if not sizes:
                self._forget(life)
        self.parts = adopted + self.parts

    def _load(self, part: Part) -> bool:
        """Read its entries; what is not whole is counted. False when that cannot be known now."""
        known = part.rows
        try:
            damaged, lost = part.load()
        except OSError as error:
            if error.errno in SHORT:
                self._run_short(error)
                return False
            self.trouble = str(error)
            part.entries, part.left, part.rows, damaged, lost = [], 0, 0, 1, known
        self.damaged += damaged
        if part.life.own:
            lost = max(lost, known - part.rows)
        else:
            self.recovered += part.rows + lost
        if lost:
            self.dropped[DAMAGED] = self.dropped.get(DAMAGED, 0) + lost
        return True

    def _run_short(self, error: OSError) -> None:
        """Nothing can be read for the moment: what lies there waits."""
        self._short, self.trouble = True, str(error)

    def _drop(self, part: Part, entry: segment.Entry, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + entry.rows
        part.finish(entry, self.disk)

    def _shrink(self) -> None:
        """Drop the oldest segments of which nothing is being sent, while there are more bytes than may be."""
        for part in self.parts.copy():
            if self.held_bytes <= self.most:
                return
            if part.position or part is self._active:
                continue
            if part.entries is None and not self._load(part):
                return
            while (entry := part.take()) is not None:
                self._drop(part, entry, FULL)
            self._retire(part)

    def _retire(self, part: Part) -> None:
        """Remove a part that is done, and the folder of an earlier life with its last part."""
        if part is self._active or part.unsent or part.left or part not in self.parts:
            return
        self.parts.remove(part)
        part.remove(self.disk)
        if not part.life.own and all(other.life is not part.life for other in self.parts):
            self._forget(part.life)

    def _forget(self, life: Life) -> None:
        """Nothing of it is left: marks of segments that are gone do not count."""
        with contextlib.suppress(OSError):  # somebody may have removed it
            for name in life.names(MARKS):
                with contextlib.suppress(OSError):
                    self.disk.unlink(life.file(name))
        life.remove(self.disk)
        self._lives.remove(life)

    def _seconds_old(self, entry: segment.Entry) -> float:
        """By the clock that only goes forward, within one run of the machine; else by the wall clock, where it was set."""
        if entry.machine == self._machine != segment.UNKNOWN_MACHINE:
            return (clock.forward_ms() - entry.created_forward) / 1000
        if entry.created_wall < limits.CLOCK_WAS_SET_MS:
            return 0.0
        return (clock.wall_ms() - entry.created_wall) / 1000


def opened(settled: Mapping[str, Any], source: str, boot: str, mark: str = "") -> Spool:
    """A client's spool, out of its options. `mark`: see Lives. Raises InvalidOption."""
    from random import SystemRandom

    pace = Pace(settled["catch_up_rate"], settled["catch_up_jitter"], SystemRandom().random)
    lives = Lives(settled["spool"], source, Disk(), mark)
    return Spool(
        lives, boot, settled["spool_bytes"], settled["spool_age"], settled["spool_full"], settled["order"], pace
    )
