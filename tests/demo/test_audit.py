"""Audit: agrees with the real aggregation on real input, and finds one measurement more or less in tens of thousands."""

from __future__ import annotations

import dataclasses
import itertools
import time
import zlib
from typing import Any

import numpy as np
import pytest
from tocsin import MemoryTransport

from demo import windows
from demo.audit import Audit, Verdict
from demo.ledger import Cell, Ledger
from demo.play import Player
from demo.story import Fault, Story
from rollups.aggregate import Aggregate
from rollups.limits import Lateness, Limits
from rollups.merge import Merge
from rollups.windows import Window
from schemas.cells import FLAG_CORRECTION, FLAG_FINAL, Cells
from schemas.records import MeasureKind, SeriesDefinition, SourceKind
from schemas.telemetry import TelemetryDecoder

PARTITIONS = 2
RECORDS_A_CHUNK = 40
Record = tuple[int, int, bytes]


@pytest.fixture(scope="module")
def played() -> tuple[Ledger, list[list[Record]]]:
    """Three minutes of the demo's history with a delayed vehicle: the ledger, and the records of each partition."""
    memory = MemoryTransport()
    now_ms = time.time_ns() // 1_000_000
    delayed = Fault("delayed", "vehicle-03", now_ms - 150_000, now_ms - 120_000, deliver_ms=now_ms - 30_000)
    player = Player(Story(1, (delayed,)), memory, web_rate=20)
    player.backfill(now_ms - 180_000, lambda text: None)
    player.stop()
    logs: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    for key, value in memory.records:
        log = logs[zlib.crc32(key) % PARTITIONS]
        log.append((len(log), now_ms, value))
    return player.ledger, logs


def aggregated(logs: list[list[Record]], without_late: bool = True) -> Audit:
    """What the product's pure rooms make of the logs, read by the audit."""
    audit = Audit()
    lateness = Lateness() if without_late else dataclasses.replace(Lateness(), lateness_ms=(5_000, 5_000, 5_000, 5_000))
    merges = [Merge(partition, PARTITIONS, lateness) for partition in range(PARTITIONS)]
    offsets = [0] * PARTITIONS
    stages = []
    for partition, log in enumerate(logs):
        stage = Aggregate(partition, PARTITIONS, lambda definition: (), Limits(), lateness, fingerprint=True)
        stages.append((stage, TelemetryDecoder(stage.resolve), log))
    now_ms = logs[0][-1][1]
    for begin in range(0, max(map(len, logs)) + 1, RECORDS_A_CHUNK):
        for stage, decoder, log in stages:
            if chunk := log[begin : begin + RECORDS_A_CHUNK]:
                decoded = decoder.decode(chunk)
                assert decoded.refused == []
                stage.apply(decoded.measurements, chunk[-1][0])
        for step in range(3):
            for stage, _, log in stages:
                last = begin + RECORDS_A_CHUNK >= len(log)
                stage.tick(now_ms + step * 600_000 * last, caught_up=last)
                for target, partial in stage.drain().partials.items():
                    merges[target].apply(partial, offsets[target])
                    offsets[target] += 1
            for merge in merges:
                for batch in merge.drain():
                    audit.read_rollup(batch.cells.columns(), batch.window_ms)
    return audit


def verdict(ledger: Ledger, logs: list[list[Record]], without_late: bool = True) -> Verdict:
    return aggregated(logs, without_late).compare(ledger.snapshot())


def test_the_product_counts_every_measurement_once(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    found = verdict(ledger, logs)
    assert found.differences == []
    assert found.exact
    assert found.aggregated == sum(ledger.published.values()) > 20_000


def test_corrections_of_closed_windows_are_counted_as_well(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    assert verdict(ledger, logs, without_late=False).differences == []


def test_a_repeat_of_a_record_is_not_counted(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    repeated = [[(offset, at, value) for offset, (_, at, value) in enumerate([*log, *log[-5:]])] for log in logs]
    assert verdict(ledger, repeated).differences == []


def test_one_record_missing_is_found(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    found = verdict(ledger, [logs[0][:-1], logs[1]])
    assert found.lost > 0
    assert not found.exact


def test_one_more_row_read_twice_is_found(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    audit = aggregated(logs)
    key, (revision, cell) = next(item for item in audit._found.items() if item[0][0] == 10_000)
    audit._found[key] = (revision, dataclasses.replace(cell, count=cell.count + 1))
    assert audit.compare(ledger.snapshot()).doubled == 1
    audit._found[key] = (revision, dataclasses.replace(cell, fingerprint=cell.fingerprint ^ 1))
    assert audit.compare(ledger.snapshot()).altered == 1


@pytest.mark.parametrize("without_late", [True, False])
def test_a_minute_and_five_are_the_sum_of_their_seconds(
    played: tuple[Ledger, list[list[Record]]], without_late: bool
) -> None:
    ledger, logs = played
    audit, truth = aggregated(logs, without_late), ledger.snapshot()
    for window_ms, at_least in ((60_000, 3), (300_000, 1)):
        over_ms = max(start for _, start in truth)
        found = windows.compare(truth, audit.found(window_ms), audit.late(), window_ms, over_ms)
        assert found.differences == []
        assert len({start for _, start in audit.found(window_ms)}) >= at_least
        assert found.aggregated == sum(cell.count for cell in truth.values())


def test_a_minute_that_says_anything_else_is_found(played: tuple[Ledger, list[list[Record]]]) -> None:
    ledger, logs = played
    audit, truth = aggregated(logs), ledger.snapshot()
    at = next(key for key, (_, cell) in audit._found.items() if key[0] == 60_000 and cell.good)
    as_of, cell = audit._found[at]
    (code, count), *others = cell.buckets
    wrong: dict[str, Any] = {"buckets": ((code - 1, count), *others)}
    wrong |= {name: getattr(cell, name) + 1 for name in ("count", "total", "high", "fingerprint", "good", "outcomes")}
    for name, value in wrong.items():
        audit._found[at] = (as_of, dataclasses.replace(cell, **{name: value}))
        found = windows.compare(truth, audit.found(60_000), {}, 60_000, 0)
        assert [(one.start_ms, one.sent) for one in found.differences] == [(at[2], cell)], name


def test_a_minute_that_is_not_corrected_is_found(
    played: tuple[Ledger, list[list[Record]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, logs = played
    add = Window.add
    monkeypatch.setattr(Window, "add", lambda self, *rows: None if self.final else add(self, *rows))
    audit, truth = aggregated(logs, without_late=False), ledger.snapshot()
    assert audit.compare(truth).exact
    assert windows.compare(truth, audit.found(60_000), {}, 60_000, 0).lost > 0


def test_a_minute_that_does_not_come_is_lost_once_it_is_over() -> None:
    series, cell = ("m", "gauge", "1", "web", ()), Cell(2, 7, 3.0, 4.0, 9)
    truth, late = {(series, 70_000): cell, (series, 110_000): cell}, {(series, 70_000): cell}
    assert windows.compare(truth, {}, {}, 60_000, 119_999).exact
    assert windows.compare(truth, {}, {}, 60_000, 120_000).lost == 4
    assert windows.compare(truth, {}, late, 60_000, 120_000).lost == 2
    assert windows.compare(truth, {(series, 60_000): cell}, late, 60_000, 0).exact
    assert windows.compare(truth, {(series, 60_000): cell + cell}, late, 60_000, 0).doubled == 2


def block(as_of: int, count: int, revision: int = 0, flags: int = 0) -> dict[str, bytes]:
    """One row of one series, as columns."""
    canonical = SeriesDefinition("m", MeasureKind.GAUGE, "1", SourceKind.WEB, {}).canonical()
    return Cells.of(
        1,
        pane_ms=np.array([20_000]),
        offset=np.array([as_of]),
        count=np.array([count]),
        revision=np.array([revision], np.int32),
        flags=np.array([flags], np.uint8),
        definition_end=np.array([len(canonical)]),
        definition_bytes=np.frombuffer(canonical, np.uint8),
    ).columns()


def test_the_highest_as_of_offset_counts_whatever_the_order() -> None:
    audit = Audit()
    for as_of, count in ((0, 1), (2, 3), (1, 2)):
        audit.read_rollup(block(as_of, count))
    ((key, cell),) = audit.found().items()
    assert key == (("m", "gauge", "1", "web", ()), 20_000)
    assert cell.count == 3


def test_a_final_window_that_is_provisional_again_is_found_and_a_repeat_is_none() -> None:
    audit = Audit()
    for revision, flags in ((0, 0), (1, FLAG_FINAL), (0, 0), (1, FLAG_FINAL), (2, FLAG_FINAL | FLAG_CORRECTION)):
        audit.read_rollup(block(revision, 1, revision, flags))
    assert audit.regressions == 0
    audit.read_rollup(block(3, 1, 3, 0))
    assert audit.regressions == 1


def test_a_worker_that_catches_up_drops_nothing() -> None:
    """A chunk may span more than the late horizon when a worker has been away: its oldest windows count all the same."""
    memory = MemoryTransport()
    now_ms = time.time_ns() // 1_000_000
    player = Player(Story(1, ()), memory, web_rate=4)
    player.backfill(now_ms - 1_500_000, lambda text: None)
    player.stop()
    logs: list[list[Record]] = [[], []]
    for key, value in memory.records:
        if key.startswith((b"shop", b"assets")):
            log = logs[key[-1] % PARTITIONS]
            log.append((len(log), now_ms, value))
    truth = {key: cell for key, cell in player.ledger.snapshot().items() if key[0][3] == "web"}
    merge = Merge(0, PARTITIONS, Lateness())
    stages = [Aggregate(n, 1, lambda definition: (), Limits(), Lateness(), fingerprint=True) for n in range(PARTITIONS)]
    decoders = [TelemetryDecoder(stage.resolve) for stage in stages]
    offsets = itertools.count()

    def turn(number: int, records: list[Record], at_ms: int, caught_up: bool) -> None:
        if records:
            stages[number].apply(decoders[number].decode(records).measurements, records[-1][0])
        stages[number].tick(at_ms, caught_up=caught_up)
        for partial in stages[number].drain().partials.values():
            merge.apply(partial, next(offsets))

    away = len(logs[1]) // 8
    turn(0, logs[0], now_ms, caught_up=False)
    turn(1, logs[1][:away], now_ms, caught_up=False)
    turn(1, logs[1][away:], now_ms, caught_up=False)
    for number in range(PARTITIONS):
        turn(number, [], now_ms + 600_000, caught_up=True)
    audit = Audit()
    for batch in merge.drain():
        audit.read_rollup(batch.cells.columns(), batch.window_ms)
    assert audit.compare(truth).lost == 0
