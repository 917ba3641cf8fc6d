"""Alerts and errors count once, by names within a bound."""

from fleet.limits import NAMES
from fleet.memory import Known, Vehicle
from fleet.messages import Report, Reports
from fleet.reports import alert_rows, error_rows

AT = 1_700_000_000_000


def said(rows):
    return [(row.metric, *(value for _, value in row.labels), row.time_ms) for row in rows]


def test_an_alert_counts_once_when_it_starts_and_once_when_it_ends():
    car, known = Vehicle(0), Known()
    first = Reports("", AT, (Report("A1", AT - 9), Report("A2", AT - 5)))
    assert said(alert_rows(first, car, (), known)) == [
        ("vehicle.alerts", "A1", "started", AT - 9), ("vehicle.alerts", "A2", "started", AT - 5),
    ]  # fmt: skip
    second = Reports("", AT + 60_000, (Report("A1", AT - 9, AT + 50_000), Report("A2", AT - 5)))
    assert said(alert_rows(second, car, (), known)) == [("vehicle.alerts", "A1", "ended", AT + 50_000)]
    assert not alert_rows(second, car, (), known)
    again = Reports("", AT + 90_000, (Report("A1", AT + 80_000),))
    assert said(alert_rows(again, car, (), known)) == [("vehicle.alerts", "A1", "started", AT + 80_000)]


def test_an_error_counts_once():
    car, known = Vehicle(0), Known()
    told = Reports("", AT, (Report("E1", AT - 1), Report("E1", AT - 1), Report("E2", 0)))
    assert said(error_rows(told, car, (("fleet", "north"),), known)) == [
        ("vehicle.errors", "north", "E1", AT - 1), ("vehicle.errors", "north", "E2", AT),
    ]  # fmt: skip
    assert not error_rows(told, car, (), known)


def test_names_are_bounded():
    rows = error_rows(Reports("", AT, tuple(Report(f"E{n}", AT) for n in range(NAMES + 5))), Vehicle(0), (), Known())
    assert len({row.labels for row in rows}) == NAMES + 1
    assert sum(row.value for row in rows) == NAMES + 5
