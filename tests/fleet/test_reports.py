"""Alerts and errors count once, by names within a bound."""

from fleet import limits, reports
from fleet.limits import NAMES
from fleet.memory import Known, Vehicle
from fleet.messages import Report, Reports
from fleet.reports import ALERTS, ENDED, ERRORS, STARTED, News

AT = 1_700_000_000_000


def news(of, message, car):
    found, beyond = reports.told(of, message, car)
    assert not beyond
    return found


def said(of, message, car, labels=(), known=None):
    rows = reports.rows(of, news(of, message, car), labels, known or Known())
    return [(row.metric, *(value for _, value in row.labels), row.time_ms) for row in rows]


def test_an_alert_counts_once_when_it_starts_and_once_when_it_ends():
    car = Vehicle(0)
    first = Reports("", AT, (Report("A1", AT - 9), Report("A2", AT - 5)))
    assert said(ALERTS, first, car) == [
        ("vehicle.alerts", "A1", "started", AT - 9), ("vehicle.alerts", "A2", "started", AT - 5),
    ]  # fmt: skip
    second = Reports("", AT + 60_000, (Report("A1", AT - 9, AT + 50_000), Report("A2", AT - 5)))
    assert said(ALERTS, second, car) == [("vehicle.alerts", "A1", "ended", AT + 50_000)]
    assert not said(ALERTS, second, car)
    again = Reports("", AT + 90_000, (Report("A1", AT + 80_000),))
    assert said(ALERTS, again, car) == [("vehicle.alerts", "A1", "started", AT + 80_000)]


def test_news_of_an_alert_that_was_over_before_it_was_heard_of():
    alert = Report("A1", AT - 9_000, AT - 1_000)
    assert news(ALERTS, Reports("", AT, (alert,)), Vehicle(0)) == [
        News(alert, STARTED, AT - 9_000), News(alert, ENDED, AT - 1_000, 8_000),
    ]  # fmt: skip


def test_an_error_counts_once():
    car = Vehicle(0)
    told = Reports("", AT, (Report("E1", AT - 1), Report("E1", AT - 1), Report("E2", 0)))
    assert said(ERRORS, told, car, (("fleet", "north"),)) == [
        ("vehicle.errors", "north", "E1", AT - 1), ("vehicle.errors", "north", "E2", AT),
    ]  # fmt: skip
    assert not said(ERRORS, told, car)


def test_a_time_that_cannot_be_is_the_records_and_costs_no_neighbour():
    told = Reports("", AT, (Report("A1", 2**60), Report("A2", AT - 1, -5), Report("A3", AT - 2, 2**53)))
    assert [(one.phase, one.at_ms) for one in news(ALERTS, told, Vehicle(0))] == [
        ("started", AT), ("started", AT - 1), ("started", AT - 2),
    ]  # fmt: skip
    car, broken = Vehicle(0), Report("A1", 2**60)
    assert [len(news(ALERTS, Reports("", AT + n, (broken,)), car)) for n in range(3)] == [1, 0, 0], "listed, not new"


def test_a_vehicle_that_lists_more_alerts_than_are_remembered_does_not_count_them_again_and_again():
    car = Vehicle(0)
    many = [Report(f"A{n}", AT - n) for n in range(limits.REPORTS + 5)]
    found = [reports.told(ALERTS, Reports("", AT + n, tuple(many)), car) for n in range(3)]
    assert [(len(told), beyond) for told, beyond in found] == [(limits.REPORTS, 5), (0, 5), (0, 5)]
    newer = [Report("B", AT + 9), *many]  # what is known stays known, wherever it is listed
    assert reports.told(ALERTS, Reports("", AT + 10, tuple(newer)), car) == ([], 6)
    fewer = [Report("B", AT + 9), *many[9:]]  # others are over: there is room
    told = news(ALERTS, Reports("", AT + 11, tuple(fewer)), car)
    assert [one.report.name for one in told] == ["B", *(f"A{n}" for n in range(limits.REPORTS, limits.REPORTS + 5))]
    assert len(car.seen.marks) == limits.REPORTS


def test_names_are_bounded():
    told = [Reports("", AT, (Report(f"E{n}", AT),)) for n in range(NAMES + 5)]
    known = Known()
    names = [name for one in told for _, name, _ in said(ERRORS, one, Vehicle(0), known=known)]
    assert len(set(names)) == NAMES + 1
    assert len(names) == NAMES + 5
