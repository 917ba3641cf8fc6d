"""Spool: records on this machine's disk for the time without brokers, in the order in which they came.

What: a folder of segments that this process has locked; a thread that writes what waits, syncs once for all of it, and only
then lets the requests be answered; the oldest records for whoever sends them on, and a mark of how far that is. Why: brokers
that are away for an hour must not cost what its senders cannot keep, such as a browser's. It refuses beyond its bytes with
503, to keep anything in memory for later, and to lose in silence: what is too old, or no longer whole, is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import queue
import struct
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from gateway import segment, selfmetrics
from gateway.limits import SPOOL_GROUP_BYTES, SPOOL_READ_BYTES, SPOOL_RETRY_S, SPOOL_SEGMENT_BYTES
from gateway.refusal import busy
from gateway.segment import Found, Kept

log = structlog.get_logger(__name__)

ENDING: Final = ".seg"
LOCK: Final = "lock"
MARK: Final = "mark"  # how far records were sent: number of a segment, place in it
_MARK: Final = struct.Struct("<QQI")
_CRC_BYTES: Final = 4

Waiting = tuple[bytes, int, int, Callable[[OSError | None], None]]  # bytes, records, received, told when it is synced


class SpoolInUse(OSError):
    """The spool's folder belongs to another process: each gateway needs one of its own"""


class Spool:
    """`folder` is made if it is absent. `most`: bytes. `age_s`: older records are dropped. Raises OSError, SpoolInUse.

    `keep` belongs to the event loop, `oldest` and `sent` to one thread at a time.
    """

    def __init__(self, folder: Path, most: int, age_s: float, now: Callable[[], float] = time.time) -> None:
        self.most, self.age_s, self._now = most, age_s, now
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _locked(folder / LOCK)
        self._guard = threading.Lock()  # of everything below
        self.records = 0
        self.oldest_ms = 0  # when the oldest of them was received; 0 when there are none
        self._sizes: dict[int, int] = {}  # segments by number, oldest first: bytes that are synced
        self._next = 1  # number of the segment to come
        self._at = 0  # place in the oldest: before it, everything was sent
        self._held: list[Kept] = []  # read, and not yet sent
        self._end_of_held = 0
        self._writing = -1
        self._waiting_bytes = 0
        self._queue: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._recover()
        self._thread = threading.Thread(target=self._serve, name="spool", daemon=True)
        self._thread.start()

    # -- what is there

    @property
    def bytes(self) -> int:
        """On the disk, and on the way there."""
        with self._guard:
            return sum(self._sizes.values()) - self._at + self._waiting_bytes

    @property
    def left(self) -> bool:
        """Whether there is anything that was not sent, or is being written."""
        return self.records > 0 or self._waiting_bytes > 0

    @property
    def full(self) -> bool:
        """Whether a record of the largest size would be refused."""
        return self.bytes + segment.MOST_BYTES > self.most

    @property
    def age_now_s(self) -> float:
        """Of the oldest record; 0 without one."""
        return max(0.0, self._now() - self.oldest_ms / 1e3) if self.oldest_ms else 0.0

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012d}{ENDING}"

    def _recover(self) -> None:
        """What an earlier process left: counted, read once, and never appended to."""
        for path in sorted(self._folder.glob(f"*{ENDING}")):
            self._sizes[int(path.stem)] = path.stat().st_size
        number, at = self._marked()
        self._next = max([number, *self._sizes]) + 1  # never below the mark, which would hide it
        for old in [each for each in self._sizes if each < number]:
            self._forget(old)
        self._at = min(at, self._sizes[number]) if number in self._sizes else 0
        place = self._at
        for each in self._sizes:
            while place < self._sizes[each]:
                found = self._read(each, place)
                self.records += len(found.records)
                if found.records and not self.oldest_ms:
                    self.oldest_ms = found.records[0].received_ms
                place = found.end
            place = 0
        if self._sizes:
            log.info("spool_found", records=self.records, bytes=self.bytes)

    def _marked(self) -> tuple[int, int]:
        """(segment, place); what cannot be read is sent again."""
        try:
            data = (self._folder / MARK).read_bytes()
            number, at, crc = _MARK.unpack(data)
        except (OSError, struct.error):
            return 0, 0
        return (number, at) if crc == zlib.crc32(data[:-_CRC_BYTES]) else (0, 0)

    # -- writing

    async def keep(self, records: Sequence[Kept]) -> None:
        """Have them on the disk, synced. Raises Refusal (503) where it is full, or does not take them."""
        data = b"".join(map(segment.written, records))
        if self.bytes + len(data) > self.most:
            raise busy("spool", "Kafka is away, and the spool is full", SPOOL_RETRY_S)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def told(error: OSError | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended; nobody waits
                loop.call_soon_threadsafe(_finish, done, error)

        with self._guard:
            self._waiting_bytes += len(data)
        self._queue.put((data, len(records), records[0].received_ms, told))
        try:
            await done
        except OSError as error:
            log.warning("spool_refuses", why=str(error))
            raise busy("spool", "Kafka is away, and the disk takes nothing", SPOOL_RETRY_S) from None

    def _serve(self) -> None:
        """Write what waits, sync once, tell all of them."""
        while (first := self._queue.get()) is not None:
            group, size = [first], len(first[0])
            while size < SPOOL_GROUP_BYTES and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    self._queue.put(None)
                    break
                group.append(more)
                size += len(more[0])
            error = None
            try:
                self._append(group)
            except OSError as problem:
                error = problem
            with self._guard:
                self._waiting_bytes -= size
            for *_, told in group:
                told(error)

    def _append(self, group: list[Waiting]) -> None:
        """One write, one sync. Raises OSError; then nothing of the group counts, and a new segment follows."""
        if self._writing < 0:
            self._begin()
        number = next(reversed(self._sizes))
        size = self._sizes[number]
        try:
            rest = memoryview(b"".join(data for data, *_ in group))
            while rest:
                rest = rest[os.write(self._writing, rest) :]
            getattr(os, "fdatasync", os.fsync)(self._writing)
        except OSError:
            # After a sync that failed nobody knows what of the file is on the disk beyond the sync before.
            with contextlib.suppress(OSError):
                os.ftruncate(self._writing, size)
            self._end()
            raise
        with self._guard:
            self._sizes[number] = size + sum(len(data) for data, *_ in group)
            self.records += sum(records for _, records, _, _ in group)
            self.oldest_ms = self.oldest_ms or group[0][2]
        if self._sizes[number] >= SPOOL_SEGMENT_BYTES:
            self._end()

    def _begin(self) -> None:
        """A new segment. Raises OSError."""
        number = self._next
        self._next += 1
        self._writing = os.open(self._path(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        with self._guard:
            self._sizes[number] = 0

    def _end(self) -> None:
        if self._writing >= 0:
            os.close(self._writing)
            self._writing = -1

    # -- reading

    def oldest(self) -> list[Kept]:
        """The oldest records, some at a time; none when all were sent. The same again until `sent`.

        Blocking. Raises OSError where the disk does not give them back now; then nothing is passed over.
        """
        while not self._held:
            with self._guard:
                number = next(iter(self._sizes), 0)
                last = number == next(reversed(self._sizes), 0)
                if last and self._at >= self._sizes.get(number, 0):
                    self.records = self.oldest_ms = 0
                    return []
            if self._at >= self._sizes[number]:
                self._forget(number)
            else:
                self._hold(number)
        return self._held

    def _hold(self, number: int) -> None:
        """Read on in the oldest segment; what is too old is passed over. Raises OSError."""
        found = self._read(number, self._at)
        since_ms = (self._now() - self.age_s) * 1e3
        young = [kept for kept in found.records if kept.received_ms >= since_ms]
        aged = len(found.records) - len(young)
        selfmetrics.SPOOL_DAMAGED.inc(found.damaged)
        selfmetrics.SPOOL_DROPPED.labels("aged").inc(aged)
        self._held, self._end_of_held = young, found.end
        with self._guard:
            self.records -= aged
            if young:
                self.oldest_ms = young[0].received_ms
        if not young:
            self.sent()

    def _read(self, number: int, at: int) -> Found:
        """A part of a segment; `end` is a place in the file. Raises OSError."""
        size = self._sizes[number]
        with self._path(number).open("rb") as file:
            file.seek(at)
            data = file.read(min(SPOOL_READ_BYTES, size - at))
        found = segment.read(data, last=at + len(data) >= size)
        found.end += at
        return found

    def sent(self) -> None:
        """What `oldest` answered has come to its end. A mark that is lost costs a repetition, with the same ids."""
        with self._guard:
            number = next(iter(self._sizes))
            self._at = self._end_of_held
            self.records -= len(self._held)
            self._held = []
            if not self.records:
                self.oldest_ms = 0
        data = _MARK.pack(number, self._at, 0)[:-_CRC_BYTES]
        path = self._folder / MARK
        new = path.with_suffix(".new")
        with contextlib.suppress(OSError):
            new.write_bytes(data + zlib.crc32(data).to_bytes(_CRC_BYTES, "little"))
            new.replace(path)

    def _forget(self, number: int) -> None:
        """A segment that was sent to its end."""
        with contextlib.suppress(OSError):
            self._path(number).unlink()
        with self._guard:
            self._sizes.pop(number, None)
            self._at = 0

    def close(self) -> None:
        """Write what waits, and let go. What was not sent stays for the next start."""
        self._queue.put(None)
        self._thread.join()
        self._end()
        os.close(self._lock)


def _locked(path: Path) -> int:
    """A descriptor that holds the lock; it ends with the process. Raises OSError, SpoolInUse."""
    lock = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise SpoolInUse(f"{path.parent}: {SpoolInUse.__doc__}") from None
    return lock


def _finish(done: asyncio.Future[None], error: OSError | None) -> None:
    if done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
