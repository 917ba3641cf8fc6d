"""A fleet through adapters: what vehicles publish is counted once, whatever is sent again, and whatever becomes of an adapter.

The platform is a real broker and worker. What is expected is booked where records are made (`tests.integration.vehicles`); rollups
are read by the demo's audit, telemetry by the platform's own decoder, events by `tocsin logs`.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from demo.workers import ROOT, Workers
from schemas.records import DeadLetter, SloStatus
from streams import topics
from tests.fleet import encoder
from tests.integration.plant import PARTITIONS, now_ms, plant
from tests.integration.vehicles import NAMESPACE, NAMING, SECRET, VINS, Fleet
from tests.streams.broker import make_topic, read_all

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

PAGE = ROOT / "docs" / "howto" / "connect-a-fleet.md"
ADAPTER = "adapter"
GROUP = "tocsin.fleet"
SIGNAL_PARTITIONS = 3
HOUR_MS = 3_600_000


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The page's own mapping and objectives, on a plant whose windows close soon."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "slo.yaml").write_text(blocks("yaml")[0].replace("freshness: 60s", "freshness: 10s"))
    lateness = {"TOCSIN_LATENESS_MS": "2000,2000,2000,2000", "TOCSIN_SLO_PATH": str(folder / "slo.yaml")}
    with plant(folder, **lateness) as made:
        for kind, partitions in (("V", SIGNAL_PARTITIONS), ("alerts", 1), ("errors", 1), ("connectivity", 5)):
            make_topic(made.bootstrap, f"{NAMESPACE}_{kind}", partitions)
        yield Fleet(made)


@pytest.fixture(scope="module")
def adapters(fleet: Fleet) -> Iterator[Workers]:
    directory: Path = fleet.plant.directory
    (directory / "mapping.toml").write_text(blocks("toml")[0])
    made = Workers(
        {
            **fleet.plant.environment,
            "TOCSIN_FLEET_NAMESPACE": NAMESPACE,
            "TOCSIN_FLEET_VIN_SECRET": SECRET,
            "TOCSIN_FLEET_MAPPING_PATH": str(directory / "mapping.toml"),
            "TOCSIN_SNAPSHOT_MIN_S": "0.2",
            "TOCSIN_SNAPSHOT_SHARE": "1.0",
        },
        directory,
        program=("streams", "fleet"),
    )
    yield made
    made.stop()


def ended(adapters: Workers, name: str = ADAPTER) -> Callable[[], bool]:
    """Whether an adapter has ended by itself, as it was told to."""
    return lambda: adapters.code(name) is not None


def drive_until(fleet: Fleet, what: str, asked: Callable[[], bool], start: int = 0) -> None:
    """Vehicles go on, and something breaks at each moment, until it is so."""
    moment, deadline = start or now_ms() - 20_000, time.monotonic() + 60
    while not asked():
        assert time.monotonic() < deadline, f"it never came to {what}"
        moment += 40
        for vin in VINS:
            fleet.drive(vin, moment + 17)
        fleet.break_down(VINS[moment // 40 % len(VINS)], moment)
        fleet.flush()
        time.sleep(0.05)  # the pace of vehicles, not a wait


def shares(client: AdminClient) -> list[int]:
    """Of how many partitions of signals each member of the adapters' group has a share, once the group has settled."""
    found = client.describe_consumer_groups([GROUP])[GROUP].result(10)
    if found.state.name != "STABLE":
        return []
    topic = f"{NAMESPACE}_V"
    return sorted(sum(one.topic == topic for one in member.assignment.topic_partitions) for member in found.members)


STEPS = ("V.after_apply", "V.before_outputs", "alerts.after_outputs", "V.in_snapshot", "errors.before_ack")


def test_adapters_that_are_killed_between_two_steps_lose_and_double_nothing(fleet: Fleet, adapters: Workers) -> None:
    start = now_ms() - 120_000
    for number, step in enumerate(STEPS):
        adapters.start(ADAPTER, {"TOCSIN_CRASH_AT": f"fleet-{NAMESPACE}_{step}:{2 + number % 2}"})
        drive_until(fleet, step, ended(adapters), start + number * 15_000)
        assert adapters.code(ADAPTER) == -signal.SIGKILL
        adapters.kill(ADAPTER)
    adapters.start(ADAPTER)
    for vin in VINS:
        fleet.link(vin, start + 500, "CONNECTED", "c1")
    fleet.flush()
    fleet.settle()


def test_adapters_side_by_side_of_which_one_is_killed_one_freezes_and_one_leaves(
    fleet: Fleet, adapters: Workers
) -> None:
    """The group is rebalanced six times as vehicles drive; each time somebody goes on from a snapshot of somebody else's."""
    client = AdminClient({"bootstrap.servers": fleet.plant.bootstrap})

    def until_shared(*wanted: int) -> None:
        drive_until(fleet, f"shares of {wanted}", lambda: shares(client) == list(wanted))

    def until_alone() -> None:
        until_shared(SIGNAL_PARTITIONS)

    if ADAPTER not in adapters.names:
        adapters.start(ADAPTER)
    adapters.start("killed", {"TOCSIN_CRASH_AT": f"fleet-{NAMESPACE}_V.after_outputs:25"})
    until_shared(1, 2)
    drive_until(fleet, "the end of the one that is killed", ended(adapters, "killed"))
    assert adapters.code("killed") == -signal.SIGKILL
    adapters.kill("killed")
    until_alone()
    adapters.start("other")
    until_shared(1, 2)
    os.kill(adapters.pid(ADAPTER), signal.SIGSTOP)
    until_alone()
    os.kill(adapters.pid(ADAPTER), signal.SIGCONT)  # what it had fetched and decided belongs to another one by now
    drive_until(fleet, "two again", lambda: shares(client) == [1, 2] or ended(adapters)())
    if ended(adapters)():
        adapters.kill(ADAPTER)
        adapters.start(ADAPTER)
        until_shared(1, 2)
    os.kill(adapters.pid("other"), signal.SIGTERM)
    drive_until(fleet, "the end of the one that leaves", ended(adapters, "other"))
    assert adapters.code("other") == 0
    adapters.kill("other")
    until_alone()
    fleet.settle()
    found, repeated = fleet.in_telemetry()
    assert found == fleet.wanted
    assert repeated, "nobody repeated anything: this proves nothing"


def test_on_call_reads_each_alert_and_error_once(fleet: Fleet, adapters: Workers) -> None:
    found = fleet.plant.until("events", lambda: told if (told := fleet.in_logs()) == fleet.told else None)
    assert set(found.values()) == {1}
    assert len(found) > len(VINS)
    raw = read_all(fleet.plant.bootstrap, topics.LOGS, PARTITIONS)
    batches = [value for read in raw.values() for _, value in read]
    assert len(batches) > len(set(batches)), "nobody repeated anything: this proves nothing"


def test_what_cannot_be_read_costs_itself(fleet: Fleet, adapters: Workers) -> None:
    bad = {b"\xff\xff": "framing", b'{"data": 3}': "framing", b"": "time"}
    for value in bad:
        fleet.publish("V", VINS[0], value)
    fleet.publish("V", VINS[0], encoder.encoded(encoder.payload(now_ms(), {}, VINS[1])))
    fleet.drive(VINS[0], now_ms() - 3_000)
    fleet.flush()
    tap = fleet.plant.tap
    found = fleet.plant.until(
        "the dead letters", lambda: letters if len(letters := [e.record for e in tap.of(topics.DLQ)]) >= 4 else None
    )
    assert all(isinstance(one, DeadLetter) and one.source_topic == f"{NAMESPACE}_V" for one in found)
    assert {one.original: one.reason for one in found if one.reason != "source"} == bad
    assert sorted(one.reason for one in found) == ["framing", "framing", "source", "time"]
    assert not any(VINS[1] in one.detail for one in found)
    fleet.settle()


def test_what_was_held_back_counts_where_it_belongs_and_what_is_too_old_is_kept(
    fleet: Fleet, adapters: Workers
) -> None:
    fleet.drive(VINS[1], now_ms() - HOUR_MS // 2, true_up=False)
    old = encoder.encoded(encoder.payload(now_ms() - 2 * HOUR_MS, {"VehicleSpeed": ("string_value", "1")}, VINS[2]))
    fleet.publish("V", VINS[2], old)
    fleet.flush()
    fleet.plant.until("what is too old", lambda: fleet.plant.tap.of(topics.LATE))
    fleet.settle()


def test_a_vehicle_that_is_offline_is_unmeasured_and_the_record_of_it_tells_it_from_one_that_fell_silent(
    fleet: Fleet, adapters: Workers
) -> None:
    """Silence makes a vehicle unmeasured, never bad; its disconnect is what `vehicle.online` says, at its own time."""
    gone, lost = VINS[3], VINS[4]
    silent = {NAMING.source(gone), NAMING.source(lost)}

    def states(*driving: str) -> dict[str, SloStatus]:
        for vin in driving:
            fleet.drive(vin, now_ms())
        fleet.flush()
        fleet.plant.tap.poll()
        known = (entry.record for entry in fleet.plant.tap.of(topics.SLO_STATUS))
        return {s.labels["vehicle"]: s for s in known if isinstance(s, SloStatus) and s.slo == "fleet-battery"}

    def all_measured() -> bool:
        found = states(*VINS)
        return len(found) == len(VINS) and {one.state for one in found.values()} == {"healthy"}

    def both_unmeasured() -> dict[str, SloStatus] | None:
        found = states(*(vin for vin in VINS if vin not in {gone, lost}))
        return found if all(found[source].state == "unmeasured" for source in silent) else None

    if ADAPTER not in adapters.names:
        adapters.start(ADAPTER)
    fleet.plant.until("vehicles that are measured", all_measured)
    at = now_ms() + 10  # after its last true-up
    fleet.link(gone, at, "DISCONNECTED", "c1")
    found = fleet.plant.until("vehicles that are unmeasured", both_unmeasured)
    assert {one.state for source, one in found.items() if source not in silent} == {"healthy"}
    assert all(found[source].good == found[source].total > 0 for source in silent), "unmeasured is not bad"
    fleet.settle()
    assert fleet.online(gone) == (at, 0.0)
    assert fleet.online(lost)[1] == 1.0, "nobody said that it is offline"


def test_nobody_finds_a_vin_in_what_was_made_of_it(fleet: Fleet, adapters: Workers) -> None:
    for topic in (topics.TELEMETRY, topics.LOGS):
        read = read_all(fleet.plant.bootstrap, topic, PARTITIONS)
        values = [value or b"" for found in read.values() for _, value in found]
        assert values
        assert not any(b"5YJ3E1EA0KF" in value for value in values)
