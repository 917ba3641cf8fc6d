"""Sources and story: the same seed and slice give the same events, however the time is cut."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from tocsin import Client, MemoryTransport

from demo.ledger import Cells, Ledger, LedgerTransport
from demo.sources import desktop, vehicles, web
from demo.story import Fault, Story, mix, script

LIVE = 1_800_000_000_000
DRIVES = vehicles.drives()
REQUESTS = web.requests()


def run(kind: str, story: Story, cuts: list[int]) -> Ledger:
    ledger = Ledger()
    transport = LedgerTransport(MemoryTransport(), ledger)

    def connect(**options: Any) -> Client:
        return Client(transport=transport, flush_interval=3600, **options)

    source: Any = (
        web.Web(story, connect, 20, REQUESTS) if kind == "web" else vehicles.Vehicles(story, connect, 1000, DRIVES)
    )
    for begin, end in itertools.pairwise(cuts):
        source.emit(begin, end)
    for client in source.clients:
        assert client.close()
    return ledger


def sums(cells: Cells) -> dict[Any, tuple[int, int]]:
    return {key: (cell.count, cell.total) for key, cell in cells.items()}


def test_the_recordings_are_whole() -> None:
    assert (len(DRIVES), sum(map(len, DRIVES))) == (28, 23_187)
    assert len(REQUESTS) > 9_990
    assert Counter(request.status // 100 for request in REQUESTS)[5] == 3


@pytest.mark.parametrize("kind", ["web", "vehicles"])
def test_however_time_is_cut_the_same_is_sent(kind: str) -> None:
    story = script(LIVE, 7)
    whole = run(kind, story, [LIVE, LIVE + 60_000])
    cut = run(kind, story, [LIVE, LIVE + 1, LIVE + 777, LIVE + 30_001, LIVE + 60_000])
    assert sums(whole.truth) == sums(cut.truth)
    assert sum(whole.published.values()) > 1_000


def test_another_seed_is_another_story() -> None:
    assert sums(run("web", script(LIVE, 1), [LIVE, LIVE + 30_000]).truth) != sums(
        run("web", script(LIVE, 2), [LIVE, LIVE + 30_000]).truth
    )


def bad_share(ledger: Ledger, label: str, value: str, begin: int, end: int) -> float:
    bad = total = 0
    for (_, _, _, _, labels), (times, good) in ledger.outcomes().items():
        if dict(labels)[label] == value:
            hit = (times >= begin) & (times < end)
            total += int(hit.sum())
            bad += int((hit & ~good).sum())
    return bad / total if total else -1.0


def test_an_outage_strikes_one_service_and_ends() -> None:
    story = Story(3, (Fault("errors", "shop", LIVE + 20_000, LIVE + 60_000, 0.8),))
    ledger = run("web", story, [LIVE, LIVE + 90_000])
    assert bad_share(ledger, "service", "shop", LIVE + 20_000, LIVE + 60_000) == pytest.approx(0.8, abs=0.05)
    assert bad_share(ledger, "service", "shop", LIVE, LIVE + 20_000) < 0.02
    assert bad_share(ledger, "service", "shop", LIVE + 60_000, LIVE + 90_000) < 0.02
    assert bad_share(ledger, "service", "assets", LIVE, LIVE + 90_000) < 0.02


def test_a_version_misbehaves_and_a_fleet_falls_silent() -> None:
    story = Story(
        3,
        (
            Fault("misbehaves", "4.2", LIVE, LIVE + 30_000, 0.9),
            Fault("offline", "west", LIVE + 10_000, LIVE + 60_000),
        ),
    )
    ledger = run("vehicles", story, [LIVE, LIVE + 60_000])
    assert bad_share(ledger, "version", "4.2", LIVE, LIVE + 30_000) == pytest.approx(0.9, abs=0.05)
    assert bad_share(ledger, "version", "4.1", LIVE, LIVE + 60_000) == 0
    assert bad_share(ledger, "region", "west", LIVE, LIVE + 10_000) == 0
    assert bad_share(ledger, "region", "west", LIVE + 10_000, LIVE + 60_000) == -1, "nothing is sent"


def test_delayed_measurements_keep_their_times() -> None:
    name = "vehicle-03"
    delayed = Story(3, (Fault("delayed", name, LIVE + 5_000, LIVE + 15_000, deliver_ms=LIVE + 40_000),))
    prompt = Story(3, ())
    assert sums(run("vehicles", delayed, [LIVE, LIVE + 60_000]).truth) == sums(
        run("vehicles", prompt, [LIVE, LIVE + 60_000]).truth
    )
    before = run("vehicles", delayed, [LIVE, LIVE + 40_000])
    missing = sum(run("vehicles", prompt, [LIVE, LIVE + 40_000]).published.values()) - sum(before.published.values())
    assert missing > 10


def test_the_desktop_reads_once_a_second() -> None:
    ledger = Ledger()
    readings = iter(range(100))

    def reader() -> desktop.Reading:
        number = next(readings)
        return {"system.cpu.utilization": 500 + number}, {"system.network.sent": 1_000 * number}

    made = desktop.Desktop(
        lambda **options: Client(transport=LedgerTransport(MemoryTransport(), ledger), flush_interval=3600, **options),
        reader,
    )
    for begin in range(LIVE, LIVE + 5_000, 250):
        made.emit(begin, begin + 250)
    made.client.close()
    found = {identity[0]: cell for (identity, _), cell in ledger.truth.items()}
    assert found["system.cpu.utilization"].count == 5
    assert found["system.network.sent"].total == 4_000, "growth, not totals"


def test_this_machine_can_be_read() -> None:
    gauges, totals = desktop.read()
    assert gauges["system.memory.used"] > 0
    assert totals["system.network.sent"] >= 0


def test_draws_are_even() -> None:
    assert sum(mix(n) < 2**63 for n in range(10_000)) == pytest.approx(5_000, abs=200)
