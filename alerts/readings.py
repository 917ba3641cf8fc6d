"""Records out of numbers: burn readings, status and transitions, with everything that explains them.

What: builds the contract's records from a cohort's row. Why: a page has to explain itself, so whatever was known
at the decision goes into the record of it. It refuses to decide anything.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from alerts import limits
from alerts.alert import State, Trigger, alert_id, transition_id
from alerts.budget import Budget, budget_of
from alerts.burn_rate import Verdict
from alerts.cohort import Cohort, Member
from alerts.fields import UNITS_MS
from alerts.history import NEVER, Shares
from alerts.slo import SEVERITIES, Slo
from schemas.records import AlertTransition, BurnReading, SloStatus


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """One step of the log: clocks (ms; by source kind where plural), offsets, and what they mean for each kind."""

    watermarks: Sequence[int]
    max_event_ms: Sequence[int]
    now_ms: int
    partition: int
    offset: int
    source_offsets: Mapping[str, int]
    config_hash: str

    def watermark_ms(self, kind: int) -> int:
        """Watermark of a kind; for any kind, the lowest of those that have one."""
        if kind != limits.ANY_KIND:
            return int(self.watermarks[kind])
        return min((int(mark) for mark in self.watermarks if mark > NEVER), default=NEVER)


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """One row of a cohort as judged at a moment; `at` is its place in the verdict."""

    cohort: Cohort
    row: int
    at: int
    verdict: Verdict
    sums: Shares

    @property
    def member(self) -> Member:
        """What the row stands for."""
        return self.cohort.members[self.row]

    def value(self, column: str) -> int:
        """One of the row's columns."""
        return int(self.cohort.column[column][self.row])

    def period(self) -> tuple[int, int]:
        """Good and total of whole buckets of the period, in units of 2**-20."""
        return int(self.cohort.history.sum_good[self.row, -1]), int(self.cohort.history.sum_total[self.row, -1])

    def budget(self) -> Budget:
        """The error budget of the period."""
        return budget_of(*self.period(), self.member.objective.allowed)

    def readings(self) -> tuple[BurnReading, ...]:
        """Every rule of the policy with the numbers it was judged by."""
        found: list[BurnReading] = []
        for number, tier in enumerate(self.cohort.policy.tiers):
            long, short = 2 * number, 2 * number + 1
            found.append(
                BurnReading(
                    severity=tier.severity,
                    long_ms=tier.long_ms,
                    short_ms=tier.short_ms,
                    factor=tier.factor,
                    long_good=float(self.sums.good[self.at, long]),
                    long_total=float(self.sums.total[self.at, long]),
                    short_good=float(self.sums.good[self.at, short]),
                    short_total=float(self.sums.total[self.at, short]),
                    long_burn=float(self.verdict.long_burn[self.at, number]),
                    short_burn=float(self.verdict.short_burn[self.at, number]),
                    wilson_low=float(self.verdict.wilson_low[self.at, number]),
                    exceeded=bool(self.verdict.exceeded[self.at, number]),
                )
            )
        return tuple(found)


def status_of(look: Look, moment: Moment, face: str) -> SloStatus:
    """The status record of a group."""
    good, total = look.period()
    return SloStatus(
        slo=look.member.group.slo,
        objective=look.member.group.objective,
        labels=look.member.group.labels,
        state=face,
        severity=SEVERITIES[look.value("severity")],
        good=good,
        total=total,
        budget_left=look.budget().share_left,
        burn=look.readings(),
        coverage=look.cohort.coverage(look.sums, look.at),
        last_data_ms=look.value("last_data_ms"),
        event_ms=look.value("time_ms"),
        config_hash=moment.config_hash,
    )


def annotations_of(slo: Slo, alert: str) -> dict[str, str]:
    """What a reader of the page needs beside the numbers: service, title, runbook, and the command that explains it."""
    found = dict(sorted(slo.annotations.items()))
    found |= {"service": slo.service, "title": slo.title, "explain": f"tocsin explain {alert}"}
    if slo.description:
        found["description"] = slo.description
    if "tocsin.dev/runbook" in slo.annotations:
        found["runbook"] = slo.annotations["tocsin.dev/runbook"]
    return found


def group_text(labels: Mapping[str, str]) -> str:
    """Labels as `{k=v, ...}`; empty for no labels."""
    return "{" + ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) + "}" if labels else ""


def span_text(duration_ms: int) -> str:
    """A duration as people write it: 10s, 5m, 6h, 3d."""
    for unit in ("d", "h", "m"):
        size = UNITS_MS[unit]
        if duration_ms >= size and duration_ms % size == 0:
            return f"{duration_ms // size}{unit}"
    return f"{duration_ms / 1000:g}s"


def summary_of(look: Look, trigger: Trigger, readings: Sequence[BurnReading]) -> str:
    """One sentence for a person, at most SUMMARY_CHARS_MAX characters."""
    subject = f"{look.member.slo.title} {group_text(look.member.group.labels)}".strip()
    left = f"{look.budget().share_left:.1%} of the {span_text(look.cohort.policy.period_ms)} budget left"
    if trigger is Trigger.CLEAR:
        return f"{subject}: the burn ended; {left}."[: limits.SUMMARY_CHARS_MAX]
    if trigger is Trigger.FREEZE:
        return f"{subject}: no data to judge by; the alert stays as it was; {left}."[: limits.SUMMARY_CHARS_MAX]
    latched = look.cohort.latched[look.row]
    held = [reading for reading, on in zip(readings, latched, strict=True) if on]
    worst = max(held, key=lambda reading: (SEVERITIES.index(reading.severity), reading.factor), default=readings[0])
    bad = worst.long_total - worst.long_good
    text = (
        f"{subject}: {bad:,.0f} of {worst.long_total:,.0f} bad in {span_text(worst.long_ms)}, burning at "
        f"{worst.long_burn:.1f}x ({worst.severity} above {worst.factor:g}x); {left}."
    )
    return text[: limits.SUMMARY_CHARS_MAX]


def transition_of(look: Look, moment: Moment, trigger: Trigger, before: int) -> AlertTransition:
    """The record of a transition that was just made; `before` is the severity rank that it left."""
    member, readings = look.member, look.readings()
    alert = alert_id(member.id, look.value("episode"))
    return AlertTransition(
        transition_id=transition_id(member.id, look.value("number")),
        alert_id=alert,
        number=look.value("number"),
        slo=member.group.slo,
        objective=member.group.objective,
        labels=member.group.labels,
        state=State(look.value("state")).word,
        severity=SEVERITIES[look.value("severity")],
        previous_severity=SEVERITIES[before],
        frozen=bool(look.value("frozen")),
        event_ms=look.value("time_ms"),
        burn_started_ms=look.value("started_ms"),
        detected_ms=moment.now_ms,
        target=member.objective.target,
        period_ms=look.cohort.policy.period_ms,
        burn=readings,
        budget_left=look.budget().share_left,
        exemplars=look.cohort.exemplars.get(look.row, ()),
        watermark_ms=moment.watermark_ms(look.cohort.kind),
        partition=moment.partition,
        offset=moment.offset,
        source_offsets=moment.source_offsets,
        config_hash=moment.config_hash,
        policy=look.cohort.policy.name,
        annotations=annotations_of(member.slo, alert),
        summary=summary_of(look, trigger, readings),
    )
