"""Cohorts: the SLO groups that share a policy and a kind of source, as columns.

What: one row a group: its times, its alert state, which rules are latched, and its history. Why: groups of one
policy have the same windows, so they are judged together, in a few array operations. It refuses to make records;
it knows numbers only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alerts import limits
from alerts.alert import State
from alerts.burn_rate import Verdict, judge, layout_of
from alerts.history import NEVER, History, Ints, Shares
from alerts.moments import exceeded_between, explain
from alerts.packing import Array
from alerts.saved import Saved, packed_groups
from alerts.slo import SEVERITIES, Objective, Policy, Slo
from schemas.records import SloGroup

#: Per group, int64: event times in ms, alert state, counters.
COLUMNS = (
    "time_ms",  # event time up to which its windows reach
    "last_data_ms",  # newest data
    "status_ms",  # time of its last status record
    "face",  # state and severity of its last status record, as one number
    "state",  # alert.State
    "severity",  # rank in slo.SEVERITIES
    "number",  # transitions so far
    "episode",  # burns so far
    "frozen",  # 0 or 1
    "unmeasured",  # 0 or 1
    "started_ms",  # event time at which the present burn began
    "held_ms",  # log time since which a lowering waits; 0: none does
    "held_for",  # the source partition that it waits for
    "complete_ms",  # event time of the last look at a lowering that waits
    "behind_ms",  # pane up to which all is judged, of a group that a source partition is behind in; else NEVER
)
FACES = ("healthy", "burning", "unmeasured", "exhausted")
HEALTHY, BURNING, UNMEASURED, EXHAUSTED = range(4)
Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """What a row stands for."""

    slo: Slo
    objective: Objective
    group: SloGroup
    id: int


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far the log is: event time that each source partition has reached, shape (sources,), and log time, in ms."""

    reached_ms: Ints
    now_ms: int


def pane_of(time_ms: Ints) -> Ints:
    """Start of the pane that each time lies in, ms."""
    return time_ms // limits.PANE_MS * limits.PANE_MS


class Cohort:
    """All groups of one policy and kind (limits.ANY_KIND: the newest of all kinds)."""

    def __init__(self, number: int, policy: Policy, kind: int, freshness_ms: int) -> None:
        self.number, self.policy, self.kind, self.freshness_ms = number, policy, kind, freshness_ms
        self.layout = layout_of(policy)
        self.history = History(self.layout)
        self.members: list[Member] = []
        self.column: dict[str, Ints] = {name: np.zeros(0, np.int64) for name in COLUMNS}
        self.latched: Flags = np.zeros((0, len(policy.tiers)), np.bool_)
        self.allowed: NDArray[np.float64] = np.zeros(0, np.float64)
        self.exceeded_ms: Ints = np.zeros((0, len(policy.tiers)), np.int64)  # event time at which each rule was last so
        self.fed: Flags = np.zeros((0, 0), np.bool_)  # by group and source partition: whether it has sent any
        self.exemplars: dict[int, tuple[str, ...]] = {}  # row -> newest trace ids
        self.firing: set[int] = set()  # rows that need a look when time moves, touched or not
        self.unheard = 0  # groups lowered without the source partition that they waited for, since somebody asked
        self.next_deadline_ms = -NEVER  # no measured group becomes unmeasured before this
        self._short_ms = min(tier.short_ms for tier in policy.tiers)
        self._rank = np.array([SEVERITIES.index(tier.severity) for tier in policy.tiers], np.int64)

    @property
    def bytes_per_group(self) -> int:
        """Memory of one row, in bytes, without its names."""
        return self.layout.bytes_per_group + 8 * len(COLUMNS) + len(self.policy.tiers) + 8

    def add(self, member: Member) -> int:
        """A new group; answers its row."""
        row = self.history.add_group()
        if row == len(self.allowed):
            self._grow(len(self.history.head))
        self.members.append(member)
        for array in self.column.values():
            array[row] = 0
        for name in ("time_ms", "last_data_ms", "status_ms", "behind_ms"):
            self.column[name][row] = NEVER
        self.column["face"][row] = -1
        self.latched[row], self.allowed[row] = False, member.objective.allowed
        self.exceeded_ms[row] = NEVER
        return row

    def _grow(self, rows: int) -> None:
        for name, array in self.column.items():
            self.column[name] = np.resize(array, rows) if len(array) else np.zeros(rows, np.int64)
        latched = np.zeros((rows, self.latched.shape[1]), np.bool_)
        latched[: len(self.latched)] = self.latched
        allowed = np.ones(rows, np.float64)
        allowed[: len(self.allowed)] = self.allowed
        exceeded_ms = np.zeros((rows, self.exceeded_ms.shape[1]), np.int64)
        exceeded_ms[: len(self.exceeded_ms)] = self.exceeded_ms
        self.latched, self.allowed, self.exceeded_ms = latched, allowed, exceeded_ms
        self._widen(self.fed.shape[1])

    def _widen(self, sources: int) -> None:
        """Room for the feeds of all rows by that many source partitions."""
        fed = np.zeros((len(self.allowed), sources), np.bool_)
        fed[: len(self.fed), : self.fed.shape[1]] = self.fed
        self.fed = fed

    def feed(self, touched: Ints, source: int) -> None:
        """These rows have something from a source partition."""
        if source >= self.fed.shape[1]:
            self._widen(source + 1)
        self.fed[touched, source] = True

    def take(self, touched: Ints, rows: Ints, pane_ms: Ints, good: Ints, total: Ints, time_ms: int) -> int:
        """Apply deltas at the cohort's time. `touched` are the distinct rows. Answers how many deltas are too old to keep."""
        now = self.column["time_ms"]
        np.maximum.at(now, rows, pane_ms)
        self._move(touched, np.full(len(touched), time_ms, np.int64))
        counted = total != 0
        seen = np.minimum(pane_ms + limits.PANE_MS, now[rows])
        np.maximum.at(self.column["last_data_ms"], rows[counted], seen[counted])
        return self.history.add(rows, pane_ms, good, total)

    def _move(self, rows: Ints, time_ms: Ints) -> None:
        times = np.maximum(time_ms, self.column["time_ms"][rows])
        self.column["time_ms"][rows] = times
        self.history.advance(rows, times)

    def move_firing(self, time_ms: int, progress: Progress) -> Ints:
        """Move firing groups on when time entered a new pane, or when a lowering may have waited enough; their rows."""
        rows = np.array(sorted(self.firing), np.int64)
        if not len(rows):
            return rows
        due = self.column["time_ms"][rows] // limits.PANE_MS < time_ms // limits.PANE_MS
        since = self.column["held_ms"][rows]
        if since.any():
            complete_ms = self.complete_ms(rows, progress)
            newer = pane_of(complete_ms) > self.column["complete_ms"][rows]
            level = complete_ms >= self.column["time_ms"][rows] - limits.LEVEL_MS
            due |= (since != 0) & (newer | level | (progress.now_ms - since >= limits.HOLD_MS))
        moved = rows[due]
        if len(moved):
            self._move(moved, np.full(len(moved), time_ms, np.int64))
        return moved

    def gone_silent(self, present_ms: int) -> Ints:
        """Rows of measured groups whose newest data has just become older than the freshness bound."""
        if present_ms <= self.next_deadline_ms:
            return np.zeros(0, np.int64)
        rows = self.history.rows
        last, unmeasured = self.column["last_data_ms"][:rows], self.column["unmeasured"][:rows] != 0
        silent = ~unmeasured & (present_ms - self.freshness_ms > last)
        fresh = last[~unmeasured & ~silent]
        self.next_deadline_ms = int(fresh.min()) + self.freshness_ms if len(fresh) else -NEVER
        return np.flatnonzero(silent)

    def complete_ms(self, rows: Ints, progress: Progress) -> Ints:
        """Event time up to which every source partition that feeds a group has told what it has, by row."""
        return np.asarray(self._reached(rows, progress).min(axis=1, initial=-NEVER), np.int64)

    def _reached(self, rows: Ints, progress: Progress) -> Ints:
        """What each source partition has reached, shape (rows, sources); those that do not feed a row hold nothing."""
        sources = min(self.fed.shape[1], len(progress.reached_ms))
        return np.where(self.fed[rows, :sources], progress.reached_ms[:sources], -NEVER)

    def _lowered(self, rows: Ints, wanted: Flags, progress: Progress) -> Flags:
        """Which of the rules that would unlatch, shape (rows, rules), may; the others wait for a source partition."""
        column, allowed = self.column, wanted.copy()
        if not wanted.any():
            column["held_ms"][rows], column["complete_ms"][rows] = 0, NEVER
            return allowed
        complete_ms, at_ms = self.complete_ms(rows, progress), np.full(len(rows), NEVER, np.int64)
        behind = np.flatnonzero(wanted.any(axis=1) & (complete_ms < column["time_ms"][rows] - limits.LEVEL_MS))
        for first in range(0, len(behind), limits.HELD_ROWS):
            some = behind[first : first + limits.HELD_ROWS]
            mine, at = rows[some], pane_of(complete_ms[some])
            at_ms[some] = at
            then = judge(self.policy, self.layout, self.history.shares_at(mine, at), self.allowed[mine])
            known = (at >= column["time_ms"][mine] - limits.HOLD_MS)[:, None] & (at[:, None] >= self.exceeded_ms[mine])
            allowed[some] &= known & then.below & then.measured
        waits = (wanted & ~allowed).any(axis=1)
        since = np.where(waits, np.where(column["held_ms"][rows] == 0, progress.now_ms, column["held_ms"][rows]), 0)
        over = waits & (progress.now_ms - since >= limits.HOLD_MS)
        self.unheard += int(over.sum())
        allowed |= wanted & over[:, None]
        waits &= ~over
        column["held_ms"][rows], column["complete_ms"][rows] = np.where(waits, since, 0), at_ms
        if waits.any():
            column["held_for"][rows[waits]] = self._reached(rows[waits], progress).argmin(axis=1)
        return allowed

    def _missed(self, rows: Ints, verdict: Verdict, sums: Shares, progress: Progress) -> Flags:
        """Rules that were exceeded at moments that only now are complete, shape (rows, rules); see `moments`.

        The verdict and the sums of a group in which only such a moment decides become those of that moment.
        """
        complete_ms, time_ms = self.complete_ms(rows, progress), self.column["time_ms"][rows]
        behind, since = complete_ms < time_ms - self._short_ms // 2, self.column["behind_ms"][rows]
        missed = np.zeros(verdict.exceeded.shape, np.bool_)
        if not (behind.any() or (since > NEVER).any()):
            return missed
        at = pane_of(np.minimum(complete_ms, time_ms))
        newer = np.flatnonzero((since > NEVER) & (at > since) & (at >= time_ms - limits.HOLD_MS))
        if len(newer):
            mine, after_ms = rows[newer], np.maximum(since[newer], time_ms[newer] - limits.HOLD_MS)
            found = exceeded_between(self.policy, self.history, self.allowed[mine], mine, pane_of(after_ms), at[newer])
            missed[newer] = found.exceeded
            self.exceeded_ms[mine] = np.where(
                found.exceeded, np.maximum(self.exceeded_ms[mine], found.at_ms[:, None]), self.exceeded_ms[mine]
            )
            alone = found.exceeded.any(axis=1) & ~verdict.exceeded[newer].any(axis=1)
            if alone.any():
                then_sums = self.history.shares_at(mine[alone], found.at_ms[alone])
                then = judge(self.policy, self.layout, then_sums, self.allowed[mine[alone]])
                explain(verdict, sums, then, then_sums, newer[alone])
        begins = behind & ((since == NEVER) | (at > since))
        self.column["behind_ms"][rows] = np.where(behind, np.where(begins, at, since), NEVER)
        return missed

    def held_for(self) -> list[int]:
        """The source partition that each lowering which waits waits for."""
        waits = np.flatnonzero(self.column["held_ms"][: self.history.rows])
        return [int(source) for source in self.column["held_for"][waits]]

    def judged(self, rows: Ints, present_ms: int, progress: Progress) -> tuple[Verdict, Shares, Ints]:
        """Latch and unlatch rules, mark the unmeasured. Answers (verdict, sums, severity rank), by row given.

        A rule latches when exceeded in a measured group, by whatever is known, and when it turns out that it was while
        a source partition lagged. It unlatches when below in a measured short window, now and at the moment that all
        source partitions that feed the group have reached; for that it waits at most HOLD_MS of log time.
        """
        sums = self.history.shares(rows, self.column["time_ms"][rows])
        verdict = judge(self.policy, self.layout, sums, self.allowed[rows])
        last = self.column["last_data_ms"][rows]
        unmeasured = present_ms - self.freshness_ms > last
        if not unmeasured.all():
            self.next_deadline_ms = min(self.next_deadline_ms, int(last[~unmeasured].min()) + self.freshness_ms)
        times_ms = self.column["time_ms"][rows][:, None]
        self.exceeded_ms[rows] = np.where(verdict.exceeded, times_ms, self.exceeded_ms[rows])
        wanted = self.latched[rows] & verdict.below & verdict.measured & ~unmeasured[:, None]
        held = self.latched[rows] & ~self._lowered(rows, wanted, progress)
        exceeded = verdict.exceeded | self._missed(rows, verdict, sums, progress)
        latched = np.where(unmeasured[:, None], self.latched[rows], held | exceeded)
        self.latched[rows] = latched
        self.column["unmeasured"][rows] = unmeasured
        return verdict, sums, (latched * self._rank).max(axis=1, initial=0)

    def faces(self, rows: Ints, rank: Ints) -> Ints:
        """What each group shows, as one number: place in FACES times the number of severities, plus severity rank.

        Unmeasured goes before exhausted, that before burning, that before healthy.
        """
        total = self.history.sum_total[rows, -1]
        spent = total - self.history.sum_good[rows, -1]
        exhausted = (total > 0) & (spent >= self.allowed[rows] * total)
        unmeasured = self.column["unmeasured"][rows] != 0
        face = np.where(unmeasured, UNMEASURED, np.where(exhausted, EXHAUSTED, np.where(rank > 0, BURNING, HEALTHY)))
        return np.asarray(face * len(SEVERITIES) + rank, np.int64)

    def state(self) -> tuple[dict[str, str], dict[str, Array]]:
        """All state as texts and arrays, one row a group."""
        rows = self.history.rows
        arrays: dict[str, Array] = {f"col_{name}": array[:rows] for name, array in self.column.items()}
        arrays |= {f"hist_{name}": array for name, array in self.history.arrays().items()}
        arrays |= packed_groups([member.group for member in self.members])
        arrays |= {"latched": self.latched[:rows], "exceeded": self.exceeded_ms[:rows], "fed": self.fed[:rows]}
        exemplars = json.dumps({str(row): traces for row, traces in sorted(self.exemplars.items())})
        return {"policy": repr(self.policy), "exemplars": exemplars}, arrays

    def take_over(self, row: int, saved: Saved, old: int) -> None:
        """Give a new row the state of row `old` of a snapshot; under another policy, all but the history."""
        for name, array in saved.columns.items():
            self.column[name][row] = array[old]
        if saved.policy == repr(self.policy):
            self.latched[row] = saved.latched[old]
            self.exceeded_ms[row] = saved.exceeded_ms[old]
            self.history.take_over(row, saved.history, old)
        elif severity := int(saved.columns["severity"][old]):
            self.latched[row, int(np.argmin(np.abs(self._rank - severity)))] = True
        for source in np.flatnonzero(saved.fed[old]).tolist():
            self.feed(np.array([row]), source)
        if traces := saved.exemplars.get(str(old)):
            self.exemplars[row] = tuple(traces)
        if self.column["state"][row] == State.FIRING:
            self.firing.add(row)
        if not self.column["unmeasured"][row]:
            self.next_deadline_ms = min(
                self.next_deadline_ms, int(saved.columns["last_data_ms"][old]) + self.freshness_ms
            )

    def coverage(self, sums: Shares, at: int) -> float:
        """Share of the buckets of the first rule's long window that hold data, 0 to 1."""
        width = self.layout.widths_ms[self.layout.ring_of[0]]
        return min(1.0, int(sums.measured[at, 0]) * width / self.layout.windows_ms[0])

    def burn_started_ms(self, row: int, short_ratio: float) -> int:
        """Event time at which the present burn began, on the finest ring, in ms (start of a bucket).

        CUSUM (E. S. Page, "Continuous inspection schemes", Biometrika 41, 1954): the sum of bad minus half the
        present error ratio times total is held at zero from below; the burn began where it last left zero.
        """
        reference = max(float(self.allowed[row]), short_ratio / 2.0)
        score, started = 0.0, int(self.column["time_ms"][row])
        for start_ms, good, total in self.history.buckets(row, 0, NEVER):
            before = score
            score = max(0.0, score + (total - good) - reference * total)
            started = start_ms if before == 0.0 < score else started
        return started

    def remember(self, row: int, traces: Sequence[str]) -> None:
        """Keep the newest EXEMPLARS_MAX trace ids of a group."""
        kept = [*dict.fromkeys([*traces, *self.exemplars.get(row, ())])]
        self.exemplars[row] = tuple(kept[: limits.EXEMPLARS_MAX])
