"""Links: connects and disconnects of vehicles to counters, and to whether a vehicle is online.

What: `vehicle.connections` by event, and `vehicle.online`, 1 or 0, when it changes. Why by connection: events come out of
order and unpaired, so that only the end of the newest connection says that a vehicle is offline, and an end that came before
its beginning says that this connection is over, and older ones with it. It refuses to say anything of the time after: a vehicle
that is offline measures nothing, and is unmeasured then, not failing.
"""

from __future__ import annotations

from fleet.limits import TEXT_CHARS
from fleet.memory import Known, Vehicle
from fleet.messages import Connectivity, Link
from fleet.rows import Labels, Row
from fleet.signals import ONLINE
from schemas.records import MeasureKind, short_hash

CONNECTIONS = "vehicle.connections"


def rows_of(
    message: Connectivity, arrived_ms: int, vehicle: Vehicle, source: str, labels: Labels, known: Known
) -> list[Row]:
    """The measurements of one event; none of one that came before. A connection is no newer than its record's arrival: a
    clock that was ahead once would else keep the vehicle in that connection."""
    at = message.created_ms
    mark = short_hash((message.connection or f"\0{at}").encode())  # without an id, each moment is one of its own
    over = bool(vehicle.seen.marks.get(mark, 0) >> Link.DISCONNECTED & 1)
    if not vehicle.seen.first(mark, message.link):
        return []
    interface = known.admitted("interface", message.interface or "unknown")
    told = (*labels, ("event", message.link.name.lower()), ("interface", interface))
    rows = [Row(CONNECTIONS, MeasureKind.COUNTER, "1", told, at, 1.0)]
    connection, since, before = message.connection[:TEXT_CHARS], min(at, arrived_ms), vehicle.open
    if message.link is Link.CONNECTED and since >= vehicle.since_ms and not (over and vehicle.open):
        vehicle.connection, vehicle.since_ms, vehicle.open = connection, since, not over
    elif message.link is Link.DISCONNECTED and connection == vehicle.connection:
        vehicle.open = False
    elif message.link is Link.DISCONNECTED and not vehicle.connection:
        return [*rows, _online(False, source, labels, at)]  # we came in the middle: its beginning was never seen
    if vehicle.open != before:
        rows.append(_online(vehicle.open, source, labels, at))
    return rows


def _online(on: bool, source: str, labels: Labels, at: int) -> Row:
    return Row(ONLINE, MeasureKind.GAUGE, "1", (*labels, ("vehicle", source)), at, float(on))
