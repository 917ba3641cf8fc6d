"""What is saved comes back (that replays agree: test_adapter), and nothing else is taken."""

import tracemalloc

import pytest

from fleet import mapping, saved, signals
from fleet.adapter import Adapter, Kind
from fleet.identity import Naming
from fleet.limits import SEEN
from fleet.messages import Signals
from rollups.packing import CorruptState, pack
from tests.fleet import encoder

AT = 1_700_000_000_000


def adapter(kind=Kind.CONNECTIVITY):
    return Adapter(kind, "c/0", mapping.read(mapping.default()), Naming())


def test_all_that_is_remembered_comes_back():
    before, after = adapter(), adapter()
    for offset in range(5):
        message = encoder.connectivity(AT + offset, f"c{offset}", "CONNECTED", interface=f"i{offset}")
        before.take(offset, AT, b"VIN-%d" % (offset % 2), encoder.encoded(message))
    before.vehicles.forgotten = 3
    assert saved.restore(after, saved.snapshot(before, 4)) == 4
    assert after.known.texts == before.known.texts
    assert after.vehicles.forgotten == 3
    assert list(after.vehicles.by_source) == list(before.vehicles.by_source)
    for source, one in before.vehicles.by_source.items():
        other = after.vehicles.by_source[source]
        assert list(other.seen.marks.items()) == list(one.seen.marks.items())
        assert (other.born, other.records, other.last, other.connection, other.since_ms, other.open) == (
            one.born, one.records, one.last, one.connection, one.since_ms, one.open,
        )  # fmt: skip


def test_a_vehicle_that_says_all_costs_so_much_and_no_more():
    """Of 8,192 of them a partition has 200 MB at most, with the mapping that is shipped."""
    rules, vehicles, one = mapping.read(mapping.default()), 25, adapter(Kind.SIGNALS)
    numbers = [number for number, rule in rules.rules.items() if rule.form == "number"]
    tracemalloc.start()
    for vehicle in range(vehicles):
        car = one.vehicles.met(f"vehicle-{vehicle:024x}", vehicle)
        for record in range(SEEN + 6):
            at = AT + 1000 * record + vehicle
            values = tuple((number, float(at % 977 + number)) for number in numbers[record % 5 :: 5])
            signals.rows_of(Signals("", at, values), at, car, "v1", rules, one.known)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(car.seen.marks) == SEEN
    assert len(car.newest) == len(numbers)
    assert 5_000 < size / vehicles < 24_000


@pytest.mark.parametrize("data", [b"", b"x" * 40, pack({"form": "fleet 2", "fence": "0"}, {}, [b""])])
def test_what_it_did_not_write_is_refused(data):
    with pytest.raises(CorruptState):
        saved.restore(adapter(), data)
