"""Ledger and audit: agreement is found where it is, and every kind of disagreement where it is not."""

from __future__ import annotations

import dataclasses

import pytest
from tocsin import Client, MemoryTransport, OnResult, Rejected

from demo.ledger import WINDOW_MS, Cell, Cells, Ledger, LedgerTransport, NotAnInteger
from demo.wire import Identity


def publish(transport: object, values: list[tuple[int, int]]) -> Client:
    options = {"service": "fleet", "kind": "vehicle", "flush_interval": 3600, "report": False}
    made = Client(source="v1", transport=transport, **options)  # type: ignore[arg-type]
    gauge = made.gauge("speed")
    for time_ms, value in values:
        gauge.set(value, time_ms)
    made.flush(1)
    return made


def test_the_truth_is_by_series_and_window() -> None:
    ledger = Ledger()
    made = publish(LedgerTransport(MemoryTransport(), ledger), [(1, 5), (9_999, -3), (10_000, 7)])
    made.outcome("o").observe(False, 4, time_ms=20_001)
    made.close()
    speed: Identity = ("speed", "gauge", "1", "vehicle", (("service", "fleet"),))
    first, second = ledger.truth[speed, 0], ledger.truth[speed, WINDOW_MS]
    assert (first.count, first.total, first.low, first.high) == (2, 2, -3.0, 5.0)
    assert (second.count, second.total) == (1, 7)
    assert ledger.published == {"vehicle": 4}
    ((identity, (times, good)),) = ledger.outcomes().items()
    assert (identity[0], times.tolist(), good.tolist()) == ("o", [20_001], [False])


def test_only_what_is_acknowledged_is_true() -> None:
    answers: list[Exception | None] = []

    class Answering:
        def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
            on_result(answers.pop(0))

        def flush(self, timeout: float) -> int:
            return 0

    ledger = Ledger()
    answers[:] = [TimeoutError("unknown"), None, Rejected("no")]
    made = publish(LedgerTransport(Answering(), ledger), [(1, 5)])
    made.gauge("speed").set(6, 2)
    made.flush(1)
    made.close()
    assert ledger.published == {"vehicle": 1}
    assert ledger.retried == 1
    assert ledger.rejected == 1
    assert ledger.unknown == 0


def test_an_unknown_fate_stays_open() -> None:
    class Silent:
        def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
            on_result(TimeoutError("unknown"))

        def flush(self, timeout: float) -> int:
            return 0

    ledger = Ledger()
    publish(LedgerTransport(Silent(), ledger), [(1, 5), (2, 6)]).close(0.01)
    assert (ledger.unknown, ledger.truth) == (2, {})


def test_fractions_are_refused() -> None:
    class Loud:
        def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
            ledger.settle(ledger.intend(value), None)

        def flush(self, timeout: float) -> int:
            return 0

    ledger = Ledger()
    made = Client(source="v1", service="x", kind="web", transport=MemoryTransport(), flush_interval=3600)
    memory = MemoryTransport()
    made._pump.transport = memory
    made.gauge("g").set(1.5, 1)
    made.close()
    with pytest.raises(NotAnInteger):
        Loud().send(b"", memory.records[0][1], lambda error: None)


def test_the_same_measurements_in_any_order_have_one_fingerprint() -> None:
    one, other = Cell(1, 5, 5, 5, 17), Cell(2, 4, 1, 3, 2**64 - 1)
    assert one + other == other + one
    assert (one + other).fingerprint == 16


@dataclasses.dataclass(frozen=True)
class Change:
    name: str
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    altered: int = 0


SERIES: Identity = ("speed", "gauge", "1", "vehicle", ())
CELL = Cell(3, 30, 5.0, 15.0, 99)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({(SERIES, 0): CELL}, Change("exact")),
        ({}, Change("window lost", lost=3)),
        ({(SERIES, 0): Cell(2, 15, 5.0, 10.0, 42)}, Change("one lost", lost=1)),
        ({(SERIES, 0): Cell(4, 45, 5.0, 15.0, 141)}, Change("one doubled", doubled=1)),
        ({(SERIES, 0): Cell(3, 30, 5.0, 15.0, 98)}, Change("one lost and another doubled", altered=1)),
        ({(SERIES, 0): Cell(3, 31, 5.0, 15.0, 99)}, Change("a wrong sum", altered=1)),
        ({(SERIES, 0): Cell(3, 30, 4.0, 15.0, 99)}, Change("a wrong extreme", altered=1)),
        ({(SERIES, 0): CELL, (SERIES, 10_000): CELL}, Change("invented", invented=3)),
    ],
    ids=lambda value: value.name if isinstance(value, Change) else "",
)
def test_every_difference_is_found(found: Cells, expected: Change) -> None:
    from demo.audit import compare

    verdict = compare({(SERIES, 0): CELL}, found, {}, 0)
    assert (verdict.lost, verdict.doubled, verdict.invented, verdict.altered) == (
        expected.lost, expected.doubled, expected.invented, expected.altered,
    )  # fmt: skip
    assert verdict.exact == (expected.name == "exact")
    assert len(verdict.differences) == (expected.name != "exact")


def test_what_was_too_late_is_accounted_for() -> None:
    from demo.audit import compare

    late, rest = Cell(1, 5, 5.0, 5.0, 40), Cell(2, 25, 10.0, 15.0, 59)
    verdict = compare({(SERIES, 0): CELL}, {(SERIES, 0): rest}, {(SERIES, 0): late}, 0)
    assert verdict.exact
    assert (verdict.aggregated, verdict.late) == (2, 1)


def test_a_record_that_is_sent_twice_is_booked_once() -> None:
    memory = MemoryTransport()
    publish(memory, [(1, 5), (2, 6)]).close()
    ledger = Ledger()
    for _ in range(2):
        ledger.settle(ledger.intend(memory.records[0][1]), None)
    assert (ledger.published, ledger.retried, ledger.unknown) == ({"vehicle": 2}, 1, 0)
    ((_, cell),) = ledger.truth.items()
    assert cell.count == 2
