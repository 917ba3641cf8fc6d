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

from tocsin import limits, segment
from tocsin.age import Age
from tocsin.disk import Disk
from tocsin.encode import Batch
from tocsin.group import Group
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
        self._ages = Age()
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
        self._group = Group()
        self._promised = 0  # measurements on the disk, not yet told
        self._retry_at = self._look_at = 0.0
        self.dropped: dict[str, int] = {}  # measurements, by reason
        self.damaged = 0  # stretches of files that could not be read
        self.recovered = 0  # measurements that earlier lives left, as far as they were read
        self.syncs = 0
        self.trouble = ""  # what the disk said last
        self._failing = False  # whether it did not take what it was given last
        self._short = False  # whether nothing more could be opened
        self._closed = False

    # -- the pump's side

    @property
    def open(self) -> bool:
        """Whether new batches may be added to the group, and there is room for it. Not behind one that the disk refused."""
        if self._closed or self._group.size >= limits.GROUP_BYTES or (self._failing and self._group.waiting):
            return False
        return self.full == DROP_OLDEST or self.held_bytes + limits.RECORD_BYTES <= self.most

    @property
    def loose(self) -> Batch | None:
        """The oldest that is not on the disk, and not acknowledged."""
        return self._group.oldest

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
        return not self._closed and (bool(self._group.waiting) or any(part.unsent for part in self.parts))

    def add(self, batches: list[Batch]) -> None:
        """Take new batches; nothing is promised before `commit`."""
        self._group.add(batches)

    def commit(self) -> int:
        """Write what was added and sync once: measurements that are held from now on. 0 while the disk does not let us."""
        if not self._group.waiting or self._now() < self._retry_at:
            return 0
        try:
            self._write(self._group.waiting.copy())
            self.trouble, self._failing = "", False
        except OSError as error:
            self.trouble, self._failing = str(error), True
            self._retry_at = self._now() + limits.DISK_RETRY
            self._abandon()
        if self.full == DROP_OLDEST:
            self._shrink()
        promised, self._promised = self._promised, 0
        return promised

    def next(self) -> Batch | None:
        """The next batch, of the oldest or newest segment; None when there is none, or not yet.

        While the disk fails, first what it did not take: nothing else keeps it. Its promise is its acknowledgement.
        """
        if self._closed:
            return None
        if self._failing and self._group.waiting:
            return self._group.send()
        self._adopt()
        ordered = list(self.parts) if self.order == OLDEST else self.parts[::-1]
        for part in ordered:
            while part.unsent:
                if part.entries is None:
                    if not self._load(part):
                        return None
                    continue
                entry = part.entries[part.position]
                age = self._ages.seconds(entry, part.life.own)
                if age is not None and age > self.age:
                    part.take()
                    self._drop(part, entry, AGED)
                    continue
                old = age is None or age > limits.CATCH_UP_AGE
                if old and not self.pace.allows():
                    if self.order == OLDEST:
                        return None
                    break
                try:
                    batch = part.read(entry, self._ages.machine)
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

    def done(self, batch: Batch, delivered: bool = True) -> int:
        """It came to its end; the memory of its measurements was free already, if the disk had it."""
        self._ages.confirmed = self._ages.confirmed or delivered
        if batch.place is None:
            self._group.done(batch)
            return batch.rows
        part, entry = batch.place
        part.finish(entry, self.disk)
        self._retire(part)
        return 0

    def take_back(self, batch: Batch) -> bool:
        """What was sent from memory is the disk's again, if that takes it before the destination does."""
        if batch.place is not None:
            return False
        self._group.take_back(batch)
        return True

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
        wall, forward = self._ages.stamp()
        part = self._active if self._active is not None and self._stands(self._active) else self._begin()
        group: list[bytes] = []
        entries: list[segment.Entry] = []
        end = part.size
        for batch in batches:
            if end and end + batch.size > limits.SEGMENT_BYTES:
                self._append(part, group, entries)
                part, group, entries, end = self._begin(), [], [], 0
            data, entry = segment.record(batch, end, wall, forward, self._ages.machine)
            group.append(data)
            entries.append(entry)
            end = entry.end
        self._append(part, group, entries)

    def _append(self, part: Part, group: list[bytes], entries: list[segment.Entry]) -> None:
        """Append records and sync: they no longer wait. Raises OSError."""
        if not entries:
            return
        self.disk.write(self._writing, b"".join(group))
        self.disk.sync(self._writing)
        if not self._folder_synced:
            self.disk.sync_folder(part.life.path)
            self.lives.keep(part.life)
            self._folder_synced = True
        self.syncs += 1
        part.append(entries)
        self._group.written(len(entries))
        self._promised += sum(entry.rows for entry in entries)

    def _stands(self, active: Part) -> bool:
        """Whether the segment that is written has its name still: what is appended to one without is lost with us."""
        with contextlib.suppress(OSError):
            return os.path.samestat(os.stat(active.path), os.fstat(self._writing)) and active.life.stands()
        return False

    def _begin(self) -> Part:
        """A new segment, empty; in a new folder, if somebody removed ours. Raises OSError."""
        before = self._life
        if self._life is None or not self._life.stands():
            self._life = self.lives.make(self.boot)
            self._lives.append(self._life)
        part = Part(self._life, f"{self._number:08d}", 0)
        descriptor = self.disk.create(part.path)
        self._number += 1
        self._end()
        if before is not None:
            self._forget(before)
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
        place = 0
        for life in self.lives.adopt({life.path for life in self._lives}):
            try:
                sizes = [(name, os.stat(life.file(name)).st_size) for name in life.names(SEGMENT)]
            except OSError:
                life.leave()
                continue
            self._lives.append(life)
            self.parts[place:place] = [Part(life, name.removesuffix(SEGMENT), size) for name, size in sizes]
            place += len(sizes)
            self._forget(life)

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
        """Remove a part that is done, and with its last part a folder to which nothing is written."""
        if part is self._active or part.unsent or part.left or part not in self.parts:
            return
        self.parts.remove(part)
        part.remove(self.disk)
        self._forget(part.life)

    def _forget(self, life: Life) -> None:
        """Let go of a folder, once nothing of it is left: marks of segments that are gone do not count."""
        if life is self._life or life not in self._lives or any(part.life is life for part in self.parts):
            return
        with contextlib.suppress(OSError):  # of a folder that somebody removed
            for name in life.names(MARKS):
                self.disk.unlink(life.file(name))
        life.remove(self.disk)
        self._lives.remove(life)


def opened(settled: Mapping[str, Any], source: str, boot: str, mark: str = "") -> Spool:
    """A client's spool, out of its options. `mark`: see Lives. Raises InvalidOption."""
    from random import SystemRandom

    pace = Pace(settled["catch_up_rate"], settled["catch_up_jitter"], SystemRandom().random)
    lives = Lives(settled["spool"], source, Disk(), mark)
    return Spool(
        lives, boot, settled["spool_bytes"], settled["spool_age"], settled["spool_full"], settled["order"], pace
    )
