"""What is saved comes back (that replays agree: test_adapter), and nothing else is taken."""

import pytest

from fleet import mapping, saved
from fleet.adapter import Adapter, Kind
from fleet.identity import Naming
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


@pytest.mark.parametrize("data", [b"", b"x" * 40, pack({"form": "fleet 2", "fence": "0"}, {}, [b""])])
def test_what_it_did_not_write_is_refused(data):
    with pytest.raises(CorruptState):
        saved.restore(adapter(), data)
