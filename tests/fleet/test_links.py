"""Whether a vehicle is online, out of events that come out of order, unpaired and twice."""

import itertools

import pytest

from fleet import links
from fleet.limits import TEXT_CHARS
from fleet.memory import Known, Vehicle
from fleet.messages import Connectivity, Link

AT = 1_700_000_000_000


def told(events):
    """(events counted, the answers of `vehicle.online`)."""
    car, known, counted, online = Vehicle(0), Known(), [], []
    for connection, link, at in events:
        for row in links.rows_of(Connectivity("", AT + at, connection, link, "wifi"), AT + 100, car, "v1", (), known):
            labels = dict(row.labels)
            if row.metric == links.CONNECTIONS:
                assert labels["interface"] == "wifi"
                counted.append(labels["event"])
            else:
                assert labels["vehicle"] == "v1"
                online.append(row.value)
    return counted, online


CONNECT, DISCONNECT = Link.CONNECTED, Link.DISCONNECTED


@pytest.mark.parametrize(
    ("events", "online"),
    [
        ([("a", CONNECT, 0), ("a", DISCONNECT, 9)], [1, 0]),
        ([("a", CONNECT, 0), ("b", CONNECT, 5), ("a", DISCONNECT, 9)], [1]),  # the old connection ends later
        ([("a", CONNECT, 0), ("b", CONNECT, 5), ("b", DISCONNECT, 9)], [1, 0]),
        ([("a", DISCONNECT, 9), ("a", CONNECT, 0)], [0]),  # out of order: it is over
        ([("b", CONNECT, 5), ("a", CONNECT, 0), ("a", DISCONNECT, 4)], [1]),  # an old one comes late, whole
        ([("a", DISCONNECT, 9)], [0]),  # its beginning was never seen
        ([("a", CONNECT, 0), ("a", CONNECT, 0), ("a", DISCONNECT, 9), ("a", DISCONNECT, 9)], [1, 0]),  # each twice
        ([("a", Link.UNKNOWN, 0)], []),
        ([("a", CONNECT, 10**9), ("b", CONNECT, 101), ("b", DISCONNECT, 102)], [1, 0]),  # a clock that was ahead once
        (
            [("", CONNECT, 0), ("", DISCONNECT, 4), ("", CONNECT, 5), ("", CONNECT, 5), ("", DISCONNECT, 9)],
            [1, 0, 1, 0],
        ),
    ],
)
def test_online(events, online):
    counted, found = told(events)
    assert found == online
    assert len(counted) == len(set(events))


def test_the_beginning_of_a_connection_that_is_over_outdates_older_ones():
    """Of `a` no end ever comes: it must not pass for open, or nobody hears of `c`."""
    car, known = Vehicle(0), Known()
    events = [("b", DISCONNECT, 9), ("b", CONNECT, 5), ("a", CONNECT, 0), ("c", CONNECT, 20)]
    rows = [
        row
        for name, link, at in events
        for row in links.rows_of(Connectivity("", AT + at, name, link, "wifi"), AT + 99, car, "v1", (), known)
    ]
    assert [(row.value, row.time_ms - AT) for row in rows if row.metric == "vehicle.online"] == [(0, 9), (1, 20)]


def test_a_connections_id_may_be_long_and_is_not_kept_so():
    car, known, name = Vehicle(0), Known(), "c" * 10_000
    rows = [
        row
        for number, link in enumerate((CONNECT, DISCONNECT))
        for row in links.rows_of(Connectivity("", AT + number, name, link, "wifi"), AT, car, "v1", (), known)
    ]
    assert [row.value for row in rows if row.metric == "vehicle.online"] == [1, 0]
    assert len(car.connection) <= TEXT_CHARS


def test_any_order_of_two_whole_connections_ends_offline():
    events = [("a", CONNECT, 0), ("a", DISCONNECT, 4), ("b", CONNECT, 5), ("b", DISCONNECT, 9)]
    for order in itertools.permutations(events):
        counted, online = told(order)
        assert len(counted) == 4
        assert online[-1] == 0
