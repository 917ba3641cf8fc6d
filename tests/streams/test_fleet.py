"""The step of the adapter: telemetry keyed by vehicle, letters, snapshots. No broker."""

from fleet import mapping
from fleet.adapter import Kind
from fleet.identity import Naming
from schemas import codec
from schemas.logs import LOGS, read_logs
from schemas.records import DeadLetter
from streams import selfmetrics, topics
from streams.fleet import FleetStep
from streams.records import Record, Records
from tests.fleet import encoder
from tests.fleet.reader import measurements

FRAMED = 10  # bytes of the framing
AT = 1_700_000_000_000
TOPIC = "tesla_V"


def step(partition=9):
    return FleetStep("fleet-test", TOPIC, partition, Kind.SIGNALS, mapping.read(mapping.default()), Naming(plain=True))


def record(offset, soc, key=b"VIN-1"):
    value = encoder.encoded(encoder.payload(AT + offset, {"Soc": ("double_value", soc), "Locked": ("invalid", True)}))
    return Record(offset, AT, value, key)


def test_telemetry_goes_to_the_partition_of_its_vehicle_and_what_cannot_be_read_to_the_letters():
    one = step()
    one.apply(Records.of([record(0, 50.0), Record(1, AT, b"\xff", b"VIN-1"), record(2, 49.0, b"VIN-2")]))
    first, letter, last = one.drain()
    assert [(out.topic, out.key, out.partition) for out in (first, last)] == [
        (topics.TELEMETRY, b"VIN-1", None), (topics.TELEMETRY, b"VIN-2", None),
    ]  # fmt: skip
    assert [m.value for m in measurements([first.value, last.value]) if m.metric == "vehicle.battery.soc"] == [
        50.0,
        49.0,
    ]
    found = codec.decode(letter.value)
    assert isinstance(found, DeadLetter)
    assert (letter.topic, letter.partition) == (topics.DLQ, None)
    assert (found.source_topic, found.partition, found.offset, found.original) == (TOPIC, 9, 1, b"\xff")
    assert one.fence == 2
    assert not one.drain()


def test_events_go_to_the_logs_of_their_service():
    one = FleetStep("fleet-test", "tesla_errors", 0, Kind.ERRORS, mapping.read("service = 'cars'"), Naming(plain=True))
    said = encoder.encoded(encoder.errors(AT, [("E", AT)], tags={"component": "camera"}))
    one.apply(Records.of([Record(0, AT, said, b"VIN-1"), Record(1, AT, said, b"VIN-1")]))
    telemetry, events = one.drain()
    assert telemetry.topic == topics.TELEMETRY
    assert (events.topic, events.key, events.partition) == (topics.LOGS, b"cars", None)
    (record,) = read_logs(LOGS, events.value, FRAMED).records
    assert (record.event, record.attributes) == ("vehicle.error", {"name": "E", "tag.component": "camera"})


def test_arrival_says_what_is_newest_when_a_clock_was_ahead():
    def said(at, version):
        return encoder.encoded(encoder.payload(at, {"Version": ("string_value", version)}))

    one = step()
    one.apply(
        Records.of([Record(0, AT, said(AT + 10**9, "a"), b"VIN-1"), Record(1, AT + 1, said(AT + 1, "b"), b"VIN-1")])
    )
    found = measurements([out.value for out in one.drain()])
    assert [m.labels["version"] for m in found if m.metric == "vehicle.online"] == ["a", "b"]


def test_what_is_at_or_below_the_fence_is_skipped_after_a_restore():
    before, after = step(), step()
    log = [record(offset, float(offset)) for offset in range(6)]
    before.apply(Records.of(log[:3]))
    after.restore(before.snapshot())
    assert after.fence == 2
    after.apply(Records.of(log))
    before.drain()
    before.apply(Records.of(log[3:]))
    assert [out.value for out in after.drain()] == [out.value for out in before.drain()]


def test_it_says_what_became_of_signals_and_takes_its_gauge_down():
    one = step()
    read = selfmetrics.FLEET_SIGNALS.labels("read")
    invalid = selfmetrics.FLEET_SIGNALS.labels("invalid")
    had = read._value.get(), invalid._value.get()
    one.apply(Records.of([record(0, 1.0), record(1, 2.0)]))
    one.drain()
    one.drain()
    assert (read._value.get() - had[0], invalid._value.get() - had[1]) == (2, 2)
    assert selfmetrics.FLEET_VEHICLES.labels("fleet-test", "9")._value.get() == 1
    one.close()
    assert b'tocsin_fleet_vehicles{partition="9",stage="fleet-test"}' not in selfmetrics.exposition()
