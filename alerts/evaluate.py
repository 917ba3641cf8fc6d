"""Evaluate: SLO deltas in, alert transitions and SLO status out. The step that decides about pages.

What: `Evaluator.apply` takes what one partials record changed, and its clock. It adds the deltas to the groups'
histories, judges the groups that changed, the firing ones when time enters a new pane, and those that have just
become unmeasured; each change of an alert goes through the table in `alert`. Why one step a record: its output is
then a function of the log, and a replay gives the same transitions. It refuses to read a clock, to send anything,
and to guess about groups that it cannot place; those are counted.

Time. A burn is raised on whatever is known; it is lowered on what every source partition that feeds the group has
told (`Cohort.judged`), so that one that lags does not call twice. A group's windows end at the newest event time of its kind of source, whoever sent it. Whether a group is
unmeasured is asked at `present` = the later of that and watermark + lateness: the watermark goes on without data
only while its partition is caught up and idle, so a lagging pipeline is never mistaken for a silent fleet.
"""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alerts import limits
from alerts.alert import State, Trigger, step, trigger_of
from alerts.cohort import FACES, Cohort, Member, Progress
from alerts.config import Config
from alerts.history import NEVER, Ints
from alerts.packing import Array, CorruptSnapshot, pack, unpack
from alerts.readings import Look, Moment, status_of, transition_of
from alerts.saved import Saved
from alerts.slo import SEVERITIES, Policy, Slo
from schemas.records import AlertTransition, SloGroup, SloStatus

Output = AlertTransition | SloStatus


class Deltas(Protocol):
    """What one partials record changed: n rows. Groups may repeat. Units of good and total: 2**-20."""

    @property
    def group(self) -> NDArray[np.uint64]:
        """SLO group ids, shape (n,)."""

    @property
    def pane_ms(self) -> Ints:
        """Start of each row's pane, shape (n,)."""

    @property
    def good(self) -> Ints:
        """What is to be added to good, shape (n,)."""

    @property
    def total(self) -> Ints:
        """What is to be added to total, shape (n,)."""

    def definition(self, row: int) -> bytes:
        """Canonical bytes of the row's SloGroup."""


class Clock(Protocol):
    """Time as the log tells it, in ms; sequences by source kind. NEVER (-2**62) or less: not known."""

    @property
    def watermarks(self) -> Sequence[int]:
        """Lowest watermark of all source partitions."""

    @property
    def max_event_ms(self) -> Sequence[int]:
        """Newest event time of all source partitions."""

    @property
    def reached_ms(self) -> NDArray[np.int64]:
        """Event time up to which each source partition has told all, shape (sources, kinds): newest data and idle time."""

    @property
    def source(self) -> int:
        """Source partition that the record is of."""

    @property
    def now_ms(self) -> int:
        """Log time of the record."""


def reached_of(reached_ms: Ints, kind: int) -> Ints:
    """Event time that each source partition has reached for a kind, or for the newest of all kinds."""
    return reached_ms.max(axis=1) if kind == limits.ANY_KIND else reached_ms[:, kind]


class Evaluator:
    """Evaluation of one partition of the partials log."""

    def __init__(
        self,
        config: Config,
        partition: int,
        bounds: limits.Limits | None = None,
        timing: limits.Timing | None = None,
    ) -> None:
        self.config, self.partition = config, partition
        self.bounds, self.timing = bounds or limits.Limits(), timing or limits.Timing()
        self.fence = -1  # offset of the last record applied
        self.counters: collections.Counter[str] = collections.Counter()
        self._slos: Mapping[str, Slo] = {slo.name: slo for slo in config.slos}
        self.cohorts: list[Cohort] = []
        self.groups = 0  # groups that have a history
        self.history_bytes = 0  # memory of all histories
        self._numbers: dict[tuple[Policy, int], Cohort] = {}
        self._places: dict[int, tuple[Cohort, int] | None] = {}

    def apply(
        self,
        deltas: Deltas,
        clock: Clock,
        offset: int,
        source_offsets: Mapping[int, int],
        exemplars: Mapping[int, Sequence[str]] | None = None,
    ) -> list[Output]:
        """One partials record at `offset`. Records at or below the fence are skipped.

        source_offsets: the newest as-of offset known of each source partition. exemplars: trace ids (hex) by group id.
        Answers in the order of cohorts and rows, for each row its transition before its status.
        """
        if offset <= self.fence:
            return []
        self.fence = offset
        offsets = {str(source): as_of for source, as_of in sorted(source_offsets.items())}
        moment = Moment(
            clock.watermarks, clock.max_event_ms, clock.now_ms, self.partition, offset, offsets, self.config.hash
        )
        touched = self._take(deltas, moment, clock.source)
        for group, traces in (exemplars or {}).items():
            if place := self._places.get(int(group)):
                place[0].remember(place[1], traces)
        found: list[Output] = []
        nothing = np.zeros(0, np.int64)
        for cohort in self.cohorts:
            present_ms = self._present_ms(cohort.kind, moment)
            if cohort.number in touched or cohort.firing or present_ms > cohort.next_deadline_ms:
                progress = Progress(reached_of(clock.reached_ms, cohort.kind), moment.now_ms)
                found += self._judge(cohort, touched.get(cohort.number, nothing), present_ms, progress, moment)
        return found

    def held(self) -> collections.Counter[int]:
        """Lowerings that wait, by the source partition that they wait for."""
        return collections.Counter(source for cohort in self.cohorts for source in cohort.held_for())

    def _take(self, deltas: Deltas, moment: Moment, source: int) -> dict[int, Ints]:
        """Put deltas into the histories. Answers the rows touched, by number of the cohort."""
        groups, first, inverse = np.unique(deltas.group, return_index=True, return_inverse=True)
        places = [self._place(int(group), deltas, int(row)) for group, row in zip(groups, first, strict=True)]
        cohort_of = np.array([place[0].number if place else -1 for place in places], np.int64)
        row_of = np.array([place[1] if place else -1 for place in places], np.int64)
        pane_ms, good, total = (np.asarray(column, np.int64) for column in (deltas.pane_ms, deltas.good, deltas.total))
        touched: dict[int, Ints] = {}
        for number in sorted(set(cohort_of.tolist())):
            ours = cohort_of == number
            mine = ours[inverse]
            if number < 0:
                self.counters["unplaced"] += int(mine.sum())
                continue
            cohort, rows = self.cohorts[number], row_of[inverse[mine]]
            touched[number] = np.sort(row_of[ours])
            cohort.feed(touched[number], source)
            self.counters["too_old"] += cohort.take(
                touched[number], rows, pane_ms[mine], good[mine], total[mine], self._time_ms(cohort.kind, moment)
            )
        return touched

    def _place(self, group: int, deltas: Deltas, row: int) -> tuple[Cohort, int] | None:
        """Where a group lives; a new group is given a row. None: not of this configuration, or past a bound."""
        if group in self._places:
            return self._places[group]
        member = self._member(group, SloGroup.from_bytes(deltas.definition(row)))
        place = self._settle(member) if member is not None else None
        if place is not None or len(self._places) < 2 * self.bounds.groups:
            self._places[group] = place
        return place

    def _member(self, group: int, definition: SloGroup) -> Member | None:
        slo = self._slos.get(definition.slo)
        if slo is None or not 0 <= definition.objective < len(slo.objectives):
            self.counters["unknown_groups"] += 1
            return None
        return Member(slo, slo.objectives[definition.objective], definition, group)

    def _settle(self, member: Member) -> tuple[Cohort, int] | None:
        kind = limits.ANY_KIND if member.slo.source_kind is None else member.slo.source_kind
        policy = member.slo.policy
        cohort = self._numbers.get((policy, kind))
        needed = (cohort or Cohort(-1, policy, kind, 0)).bytes_per_group
        if self.groups >= self.bounds.groups or self.history_bytes + needed > self.bounds.history_bytes:
            self.counters["dropped_groups"] += 1
            return None
        self.groups += 1
        self.history_bytes += needed
        cohort = cohort or self._cohort(policy, kind)
        return cohort, cohort.add(member)

    def _cohort(self, policy: Policy, kind: int) -> Cohort:
        cohort = Cohort(len(self.cohorts), policy, kind, self.timing.freshness_ms(kind, policy.slack_ms))
        self.cohorts.append(cohort)
        self._numbers[(policy, kind)] = cohort
        return cohort

    def _time_ms(self, kind: int, moment: Moment) -> int:
        """Newest event time of a kind (or of all kinds)."""
        newest = max(moment.max_event_ms) if kind == limits.ANY_KIND else moment.max_event_ms[kind]
        return max(NEVER, int(newest))

    def _present_ms(self, kind: int, moment: Moment) -> int:
        """The time at which silence is judged."""
        kinds = range(limits.KINDS) if kind == limits.ANY_KIND else (kind,)
        idle = max(int(moment.watermarks[each]) + self.timing.lateness_ms[each] for each in kinds)
        return max(self._time_ms(kind, moment), idle, NEVER)

    def _judge(
        self, cohort: Cohort, touched: Ints, present_ms: int, progress: Progress, moment: Moment
    ) -> list[Output]:
        moved = cohort.move_firing(self._time_ms(cohort.kind, moment), progress)
        silent = cohort.gone_silent(present_ms)
        rows = np.unique(np.concatenate((touched, moved, silent))) if len(moved) or len(silent) else touched
        if not len(rows):
            return []
        self.counters["judged"] += len(rows)
        column = cohort.column
        before, frozen = column["severity"][rows], column["frozen"][rows]
        verdict, sums, rank = cohort.judged(rows, present_ms, progress)
        changed = (rank != before) | ((rank > 0) & (column["unmeasured"][rows] != frozen))
        changed |= (column["state"][rows] == State.RESOLVED) & (rank == 0)
        self.counters["lowered_unheard"] += cohort.unheard
        cohort.unheard = 0
        faces = cohort.faces(rows, rank)
        due = column["time_ms"][rows] - column["status_ms"][rows] >= self.bounds.status_every_ms
        due |= faces != column["face"][rows]
        found: list[Output] = []
        for at in np.flatnonzero(changed | due):
            look = Look(cohort, int(rows[at]), int(at), verdict, sums)
            if changed[at]:
                found += self._transitions(look, moment, int(before[at]), int(rank[at]))
            if due[at]:
                column["face"][look.row], column["status_ms"][look.row] = faces[at], look.value("time_ms")
                found.append(status_of(look, moment, FACES[int(faces[at]) // len(SEVERITIES)]))
        return found

    def _transitions(self, look: Look, moment: Moment, before: int, rank: int) -> list[Output]:
        """Take one row through the table of states."""
        column, row = look.cohort.column, look.row
        state = State(look.value("state"))
        frozen = bool(look.value("unmeasured")) and rank > 0
        trigger = trigger_of(state, before, rank, bool(look.value("frozen")), frozen)
        if trigger is None:
            return []
        arrow = step(state, trigger)
        column["state"][row], column["severity"][row], column["frozen"][row] = arrow.to, rank, frozen
        if trigger is Trigger.RAISE:
            column["episode"][row] += 1
            short = 2 * int(np.argmax(look.verdict.exceeded[look.at])) + 1
            total = float(look.sums.total[look.at, short])
            ratio = 1.0 - float(look.sums.good[look.at, short]) / total if total > 0 else 1.0
            column["started_ms"][row] = look.cohort.burn_started_ms(row, ratio)
        (look.cohort.firing.add if arrow.to is State.FIRING else look.cohort.firing.discard)(row)
        if not arrow.recorded:
            return []
        column["number"][row] += 1
        self.counters[f"transition_{trigger.name.lower()}"] += 1
        return [transition_of(look, moment, trigger, before)]

    def snapshot(self) -> bytes:
        """All state as bytes, for `restore`."""
        texts = {"fence": str(self.fence), "cohorts": str(len(self.cohorts))}
        arrays: dict[str, Array] = {}
        for cohort in self.cohorts:
            more_texts, more_arrays = cohort.state()
            texts |= {f"{cohort.number}/{name}": text for name, text in more_texts.items()}
            arrays |= {f"{cohort.number}/{name}": array for name, array in more_arrays.items()}
        return pack(texts, arrays)

    def restore(self, data: bytes) -> None:
        """State of a snapshot into a new evaluator. Raises CorruptSnapshot.

        Groups of SLOs that are gone are dropped. Where an SLO's policy changed, its groups keep their alert state
        and numbers, and begin a new history.
        """
        assert not self.cohorts, "restore is for a new evaluator"
        texts, arrays = unpack(data)
        try:
            self.fence = int(texts["fence"])
            for number in range(int(texts["cohorts"])):
                self._restore_cohort(Saved.of(number, texts, arrays))
        except (KeyError, ValueError, IndexError, EOFError, TypeError) as error:
            raise CorruptSnapshot(str(error)) from error

    def _restore_cohort(self, saved: Saved) -> None:
        """Rows in their old order; rows of unchanged policy keep their history, as whole columns where possible."""
        members = [self._member(group.id, group) for group in saved.groups]
        for row, member in enumerate(members):
            place = self._settle(member) if member is not None else None
            if member is not None and place is not None:
                self._places[member.id] = place
                place[0].take_over(place[1], saved, row)
