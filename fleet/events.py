"""Events: what a vehicle reported, for people: log records of the contract.

What: `vehicle.alert` when an alert starts and when it ends, `vehicle.error` for each error, with name, phase, audience, how long
it lasted, and an error's tags; as batches under the identity of the telemetry that the same record became. Why: a counter says
that a name burns, an on-call reads which vehicle said what. It refuses the VIN, tags that name a secret or that the mapping does
not let through, an error's words unless the mapping asks for them, and whatever is beyond `fleet.limits`; what is left out is
counted in the record.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Final

from fleet import limits
from fleet.mapping import Mapping
from fleet.reports import ALERTS, ENDED, News
from schemas.encoding import Producer, Resource
from schemas.limits import LOG_RECORDS
from schemas.logs import SEVERITIES, LogBatch, LogRecord

ALERT: Final = "vehicle.alert"
ERROR: Final = "vehicle.error"
#: Names of tags that never leave, whoever set them.
_SECRET: Final = re.compile(r"passw|secret|token|credential|api[_-]?key|cookie|authoriz|session[_-]?id", re.IGNORECASE)


@dataclasses.dataclass(slots=True)
class _Kept:
    """What an event says, as far as it may; how many attributes and ends of texts were left out."""

    hidden: str
    attributes: dict[str, str] = dataclasses.field(default_factory=dict)
    left_out: int = 0

    def text(self, text: str, most: int = limits.ATTRIBUTE_CHARS) -> str:
        """Its beginning; nothing of one that names the vehicle."""
        if self.hidden and self.hidden.lower() in text.lower():
            self.left_out += 1
            return ""
        self.left_out += len(text) > most
        return text[:most]

    def tags(self, tags: Sequence[tuple[str, str]], mapping: Mapping) -> None:
        """Those that may leave."""
        allowed = [(key, value) for key, value in tags if _may_leave(key, mapping)][: limits.TAGS]
        self.left_out += len(tags) - len(allowed)
        for key, value in allowed:
            name, said = self.text(key, limits.TEXT_CHARS), self.text(value)
            if name and (said or not value):
                self.attributes[f"tag.{name}"] = said


def batches(records: Sequence[LogRecord], resource: Resource, producer: Producer, sequence: int) -> Iterator[LogBatch]:
    """All events of one record; nearly always one batch. A further one has a boot of its own, so that the sequence stays the
    record's."""
    for part, begin in enumerate(range(0, len(records), LOG_RECORDS)):
        boot = f"{producer.boot}/{part}" if part else producer.boot
        some = tuple(records[begin : begin + LOG_RECORDS])
        yield LogBatch(producer.source, boot, sequence, resource, some, created_wall_ms=some[0].observed_ms)


def event(of: str, news: News, mapping: Mapping, hidden: str, created_ms: int) -> LogRecord:
    """One piece of news. `hidden`: the VIN where it must not be seen, else empty."""
    report, kept = news.report, _Kept(hidden)
    kept.attributes.update(mapping.labels)
    kept.attributes["name"] = kept.text(report.name)
    if news.phase:
        kept.attributes["phase"] = news.phase
    if report.audiences:
        kept.attributes["audience"] = ",".join(report.audiences)
    if news.lasted_ms is not None:
        kept.attributes["lasted_s"] = f"{news.lasted_ms / 1000:.3f}"
    kept.tags(report.tags, mapping)
    body = kept.text(report.body, limits.BODY_CHARS) if mapping.body else ""
    kept.left_out += bool(report.body and not mapping.body)
    severity = "error" if of != ALERTS else "info" if news.phase == ENDED else "warn"
    return LogRecord(
        time_ms=news.at_ms,
        observed_ms=created_ms,
        severity=SEVERITIES[severity],
        event=ALERT if of == ALERTS else ERROR,
        body=body,
        attributes=kept.attributes,
        left_out=kept.left_out,
    )


def _may_leave(tag: str, mapping: Mapping) -> bool:
    return not _SECRET.search(tag) and (mapping.tags is None or tag in mapping.tags)
