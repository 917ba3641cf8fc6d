"""Reports: alerts and errors of vehicles to counters.

What: each alert adds one when it started and one when it ended, each error one, to the series of its name. Why: a vehicle
lists an alert again as long as it lasts, so that (name, start) is what counts once. It refuses names without a bound: of
more than `fleet.limits.NAMES` the later ones are "other". What an error says in its body and tags stays where it was.
"""

from __future__ import annotations

from fleet.memory import Known, Vehicle
from fleet.messages import Report, Reports
from fleet.rows import Labels, Row
from schemas.records import MeasureKind, short_hash

STARTED, ENDED = 0, 1  # bits of an alert


def alert_rows(message: Reports, vehicle: Vehicle, labels: Labels, known: Known) -> list[Row]:
    """`vehicle.alerts` by name and phase."""
    rows = []
    for alert in message.reports:
        started, mark = alert.started_ms or message.created_ms, _mark(alert, message)
        name = ("name", known.admitted("alerts", alert.name))
        if vehicle.seen.first(mark, STARTED):
            rows.append(_one("vehicle.alerts", (*labels, name, ("phase", "started")), started))
        if alert.ended_ms and vehicle.seen.first(mark, ENDED):
            rows.append(_one("vehicle.alerts", (*labels, name, ("phase", "ended")), alert.ended_ms))
    return rows


def error_rows(message: Reports, vehicle: Vehicle, labels: Labels, known: Known) -> list[Row]:
    """`vehicle.errors` by name."""
    return [
        _one(
            "vehicle.errors",
            (*labels, ("name", known.admitted("errors", error.name))),
            error.started_ms or message.created_ms,
        )
        for error in message.reports
        if vehicle.seen.first(_mark(error, message), STARTED)
    ]


def _mark(report: Report, message: Reports) -> int:
    """Of its name and start; of one without a start, the record's time."""
    return short_hash(f"{report.name}\0{report.started_ms or message.created_ms}".encode())


def _one(metric: str, labels: Labels, at: int) -> Row:
    return Row(metric, MeasureKind.COUNTER, "1", labels, at, 1.0)
