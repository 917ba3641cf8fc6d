"""The load: steady sources on every partition, services that fail on and on, and silence when it is paused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tocsin import MemoryTransport

from proof.intent import METRIC, Load, partition_of, read

PARTITIONS = 4
PATIENCE_S = 10.0


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def services(load: Load) -> set[str]:
    return {dict(series[4])["service"] for (series, _) in load.truth()}


def test_a_load_from_its_first_request_to_silence(tmp_path: Path) -> None:
    load = Load("127.0.0.1:9", tmp_path / "journal.tsv", seed=1, rate=400, partitions=PARTITIONS)
    load.noted.inner = MemoryTransport()
    with load:
        wait_for(lambda: len(services(load)) == 2 * PARTITIONS)
        assert {partition_of(service, PARTITIONS) for service in services(load)} == set(range(PARTITIONS))
        assert not load.told.outcomes()
        assert not load.ledger.outcomes()  # nobody expects pages of those
        ailing = load.failing("ill")
        load.ailing.add(ailing)
        wait_for(lambda: "ill" in services(load))
        load.ailing.discard(ailing)
        with load.paused():
            assert load.unknown == 0
            before = load.acknowledged
            ((series, (_, good)),) = load.told.outcomes().items()
            assert series[0] == METRIC
            assert not good.any()
            time.sleep(0.2)
            assert load.acknowledged == before
    books = read(tmp_path / "journal.tsv")
    assert not books.unknown
    assert sum(books.intended.values()) == load.acknowledged
    assert load.given_up == 0
