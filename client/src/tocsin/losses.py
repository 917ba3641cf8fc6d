"""Losses: what became of measurements and log records, told to the platform by counters of the client's own.

What: totals by metric and reason, and how much of them was told; what is new becomes an amount of a counter. What could not be
told before the end lies beside the spool, for the next life to tell. Why: a loss that only the process knows of is found when
somebody asks where his numbers are; and who pages on a share needs what was taken beside what was lost. No rule of privacy and
no limit of series holds for these counters: both are bounded here, and a reason names nobody. It refuses to count itself: its
own rows are not among those taken.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from time import monotonic
from zlib import crc32

from tocsin import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.log_pipe import LogPipe
    from tocsin.pump import Pump
    from tocsin.recorder import Recorder, Tally
    from tocsin.series import SeriesTable
    from tocsin.spool import Spool

    Key = tuple[str, str]  # metric, and the text of its one label
    Totals = dict[Key, int]

REFUSED = "tocsin.client.refused"  # measurements that were not taken, by reason
DROPPED = "tocsin.client.dropped"  # measurements that were taken and then lost, by reason
LOGS_REFUSED = "tocsin.client.logs_refused"  # log records, as above
LOGS_DROPPED = "tocsin.client.logs_dropped"
FOLDED = "tocsin.client.folded"  # times that a new series went to an overflow series
MEASUREMENTS = "tocsin.client.measurements"  # by fate: taken, lost
TABLE = {
    REFUSED: ("{measurement}", "reason"),
    DROPPED: ("{measurement}", "reason"),
    LOGS_REFUSED: ("{record}", "reason"),
    LOGS_DROPPED: ("{record}", "reason"),
    FOLDED: ("{series}", ""),
    MEASUREMENTS: ("{measurement}", "fate"),
}
TAKEN, LOST = (MEASUREMENTS, "taken"), (MEASUREMENTS, "lost")
GIVEN_UP = "given_up"
KEPT = frozenset({(REFUSED, "trace")})  # only a trace id was left out
ECHO = (DROPPED, "rejected")  # whoever refuses all refuses what we tell of it too, and that is told …
OWED = "owed-"  # begins the names of files with what is still to be told


def totals(recorder: Recorder, pump: Pump, series: SeriesTable, spool: Spool | None, logs: LogPipe) -> Totals:
    """All losses of this life, as they stand."""
    found = {(FOLDED, ""): series.folded} if series.folded else {}
    for refused, dropped, told, rejected, kept in (
        (REFUSED, DROPPED, recorder.refused, pump.rejected, spool),
        (LOGS_REFUSED, LOGS_DROPPED, logs.buffer.refused, logs.pump.rejected, logs.spool),
    ):
        found.update(((refused, reason), count) for reason, count in told.copy().items())
        if rejected:
            found[dropped, "rejected"] = sum(rejected.copy().values())
        if kept:
            found.update(((dropped, reason), count) for reason, count in kept.dropped.copy().items())
    return found


class Losses:
    """Of one client. `folder`: that of its spool, or nothing. All but `any_new` is for one thread at a time: the pump's."""

    def __init__(
        self, recorder: Recorder, series: SeriesTable, folder: str, source: str, now: Callable[[], float] = monotonic
    ) -> None:
        self._recorder, self._series, self._folder, self._now = recorder, series, folder, now
        self._stem = f"{OWED}{crc32(source.encode()):08x}-"
        self._tallies: dict[Key, Tally] = {}
        self.reset(self._left_behind())

    def reset(self, owed: Totals | None = None) -> None:
        """As after construction; in a forked child, where what the parent has to tell is the parent's."""
        self._told: Totals = {(FOLDED, ""): self._series.folded}
        self._owed = owed or {}
        self._rows = self._taken = 0  # rows of our own; measurements told as taken
        self._taken_at, self._echo_at = self._now() + limits.TELL_EVERY, 0.0
        self._ended = False

    def any_new(self, found: Totals) -> bool:
        """Whether some log records among these were not told of yet."""
        return any(
            count > self._told.get(key, 0) for key, count in found.items() if key[0] in (LOGS_REFUSED, LOGS_DROPPED)
        )

    def tell(self, found: Totals, taken: int) -> None:
        """Put what is new into counters. `taken`: rows that the recorder ever held, ours among them.

        Once more after the recorder was shut: a close must end, whatever its last batches meet.
        """
        if self._ended:
            return
        self._ended, now = self._recorder.closed, self._now()
        waiting = sum(bool(tally.pending or tally.amounts) for tally in self._tallies.values())
        grown = taken - (self._rows - waiting) - self._taken
        lost = 0
        for key, new in self._untold(found).items():
            if key == ECHO:
                if now < self._echo_at and not self._ended:
                    continue
                self._echo_at = now + limits.TELL_EVERY
            self._told[key] = self._told.get(key, 0) + new
            self._add(key, new)
            if key[0] in (REFUSED, DROPPED) and key not in KEPT:
                lost += new
        if lost:
            self._add(LOST, lost)
        if grown > 0 and (lost or now >= self._taken_at):
            self._taken += grown
            self._taken_at = now + limits.TELL_EVERY
            self._add(TAKEN, grown)

    def _untold(self, found: Totals) -> Totals:
        """What is new of this life, and all that earlier ones owe."""
        sums = {key: found.get(key, 0) + self._owed.get(key, 0) for key in found.keys() | self._owed.keys()}
        return {key: count - told for key, count in sums.items() if count > (told := self._told.get(key, 0))}

    def _add(self, key: Key, amount: int) -> None:
        tally = self._tallies.get(key) or self._made(key)
        if not (tally.pending or tally.amounts):
            self._rows += 1  # else it goes with the row that waits
        tally.amounts.append(float(amount))

    def _made(self, key: Key) -> Tally:
        metric, text = key
        unit, label = TABLE[metric]
        number = self._series.number(("counter", metric, unit, ((label, text),) if label else ()), own=True)
        tally = self._tallies[key] = self._series.tally(number)
        with self._recorder.lock:
            if tally not in self._recorder.tallies:
                self._recorder.tallies.append(tally)
        return tally

    # -- over the end

    def keep(self, found: Totals, boot: str) -> None:
        """What was not told goes to the disk, if there is one that takes it; it is told once, by whoever comes next."""
        if not self._folder or not (untold := self._untold(found)):
            return
        import json

        path = os.path.join(self._folder, self._stem + boot)
        with contextlib.suppress(OSError):
            with open(path + ".new", "w", encoding="utf-8") as file:
                json.dump([[*key, count] for key, count in untold.items()], file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path + ".new", path)

    def _left_behind(self) -> Totals:
        """What earlier lives of the source owe; the file of each is taken by one."""
        found: Totals = {}
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self._folder)) if self._folder else ():
                if name.startswith(self._stem) and not name.endswith(".new"):
                    for key, count in _taken(os.path.join(self._folder, name)).items():
                        found[key] = found.get(key, 0) + count
        return found


def _taken(path: str) -> Totals:
    """What a file says; it is gone then. Nothing where another took it, or it does not hold what it should."""
    import json

    found: Totals = {}
    with contextlib.suppress(OSError, ValueError, TypeError, RecursionError):
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(limits.OWED_BYTES)
        os.unlink(path)
        for metric, label, count in json.loads(text):
            if metric in TABLE and isinstance(label, str) and isinstance(count, int) and 0 < count < limits.VALUE_BOUND:
                found[metric, label[: limits.LABEL_VALUE_CHARS]] = count
    return found


def given_up(found: Mapping[Key, int], measurements: int, records: int) -> Totals:
    """The same, with what a close had to leave."""
    ends = {(DROPPED, GIVEN_UP): measurements, (LOGS_DROPPED, GIVEN_UP): records}
    return {**found, **{key: count for key, count in ends.items() if count}}
