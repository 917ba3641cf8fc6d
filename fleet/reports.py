"""Reports: alerts and errors of vehicles, each piece of news once, and as counters.

What: of each alert that it started and that it ended, of each error that it was; and one more for each of them in the series of
its name. Why: a vehicle lists an alert again as long as it lasts, so that (name, start) is what counts once. It refuses names
without a bound: of more than `fleet.limits.NAMES` the later ones are "other"; and to count in one record more reports than are
remembered, since the next record that lists them would count them again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from fleet import limits
from fleet.memory import Known, Vehicle
from fleet.messages import Report, Reports
from fleet.rows import Labels, Row
from schemas.limits import TIME_BOUND_MS
from schemas.records import MeasureKind, short_hash

ALERTS: Final = "alerts"
ERRORS: Final = "errors"
STARTED: Final = "started"
ENDED: Final = "ended"
_START, _END = 0, 1  # bits of a report


class News(NamedTuple):
    """What was not said before: of an alert one of its phases."""

    report: Report
    phase: str
    at_ms: int
    lasted_ms: int | None = None  # of an alert that ended


def told(of: str, message: Reports, vehicle: Vehicle) -> tuple[list[News], int]:
    """The news of a record, in its order; and how many of its reports were beyond what is remembered of a vehicle. A report
    without a time of its own, or with one that is none, has the record's."""
    marks = [_mark(report, message) for report in message.reports]
    seen, most, found, beyond = vehicle.seen, limits.REPORTS, list[News](), 0
    remembered = seen.together(marks, most)
    for report, mark in zip(message.reports, marks, strict=True):
        if mark not in remembered:
            beyond += 1
            continue
        started = _time(report.started_ms) or message.created_ms
        if seen.first(mark, _START, most=most):
            found.append(News(report, STARTED if of == ALERTS else "", started))
        ended = _time(report.ended_ms)
        if ended and seen.first(mark, _END, most=most):
            found.append(News(report, ENDED, ended, ended - started))
    return found, beyond


def rows(of: str, news: list[News], labels: Labels, known: Known) -> list[Row]:
    """`vehicle.alerts` by name and phase, `vehicle.errors` by name."""
    found = []
    for one in news:
        phase = (("phase", one.phase),) if one.phase else ()
        own = (*labels, ("name", known.admitted(of, one.report.name)), *phase)
        found.append(Row(f"vehicle.{of}", MeasureKind.COUNTER, "1", own, one.at_ms, 1.0))
    return found


def _mark(report: Report, message: Reports) -> int:
    """Of its name and start, even of one that cannot be; of one without a start, the record's time."""
    return short_hash(f"{report.name}\0{report.started_ms or message.created_ms}".encode())


def _time(at_ms: int) -> int:
    """0 for one that cannot be: it must not cost its neighbours."""
    return at_ms if 0 < at_ms < TIME_BOUND_MS else 0
