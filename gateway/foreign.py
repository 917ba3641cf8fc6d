"""Foreign: what every protocol but our own has in common: series to be checked, and a request that is taken in part.

What: a foreign series within the contract's limits; what came out of a request, and the storing of it. Why: OTLP and
Prometheus differ in their bytes and agree in the rest. It refuses a request as a whole only where nothing of it was taken;
of one that was taken in part, the rest is rejected, since these protocols know no third way.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Hashable, Mapping

from gateway.answers import put_off
from gateway.cumulative import Point
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.rows import Framed, Series
from gateway.verdicts import REJECTED, RETRY
from schemas import limits
from schemas.records import MeasureKind

_TOLD = 3  # reasons that fit into one sentence


class Unfit(Exception):
    """This point has no place in our telemetry: the words are for its sender"""


def series_of(metric: str, kind: MeasureKind, unit: str, labels: Mapping[str, str], resource: frozenset[str]) -> Series:
    """The series, within the limits. `resource`: names of labels that the resource adds. Raises Unfit."""
    if not 0 < len(metric) <= limits.METRIC_CHARS or len(unit) > limits.UNIT_CHARS:
        raise Unfit(f"a metric's name has 1 to {limits.METRIC_CHARS} characters, its unit {limits.UNIT_CHARS} at most")
    if len(labels.keys() | resource) > limits.LABELS:
        raise Unfit(f"more than {limits.LABELS} labels, those of the resource included")
    for key, value in labels.items():
        if len(key) > limits.LABEL_KEY_CHARS or len(value) > limits.LABEL_VALUE_CHARS:
            most = f"{limits.LABEL_KEY_CHARS} and {limits.LABEL_VALUE_CHARS} characters"
            raise Unfit(f"label {key[:40]!r} is too long: {most}")
    return Series(metric, kind, unit, tuple(sorted(labels.items())))


@dataclasses.dataclass(slots=True)
class Gathered:
    """What came out of a request. `proposed`: last points, to be kept once the records are stored."""

    framed: list[Framed] = dataclasses.field(default_factory=list)
    rejected: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    proposed: dict[Hashable, Point] = dataclasses.field(default_factory=dict)

    def told(self) -> str:
        """The reasons, for the sender."""
        common = self.rejected.most_common(_TOLD)
        rest = len(self.rejected) - len(common)
        return "; ".join(f"{reason} ({count})" for reason, count in common) + (f"; {rest} more reasons" if rest else "")

    async def stored(self, intake: Intake, identity: Identity) -> None:
        """Publish; what was not taken goes to the rejected. Raises Refusal where nothing was taken, for now."""
        verdicts = await intake.take(identity, [one.value for one in self.framed])
        later = [verdict for verdict in verdicts if verdict.status == RETRY]
        if later and len(later) == len(verdicts):
            raise put_off(later)
        for one, verdict in zip(self.framed, verdicts, strict=True):
            if verdict.status in (REJECTED, RETRY):
                self.rejected[f"{verdict.reason}: {verdict.detail}"] += max(one.points, 1)
