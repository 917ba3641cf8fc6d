"""Losses: each is told to the platform, whatever the rules of privacy, the limit of series or the end of a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tocsin import Client, MemoryTransport, OnResult, Rejected, losses
from tocsin.recorder import Recorder
from tocsin.series import SeriesTable

from demo.wire import read_batch


def told(transport: MemoryTransport) -> dict[tuple[str, str], float]:
    """(metric, its own label) -> sum, of the client's own counters."""
    found: dict[tuple[str, str], float] = {}
    for _, value in transport.records:
        batch = read_batch(value)
        for place, amount in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
            metric, kind, _, _, labels = batch.identities[place]
            if metric.startswith("tocsin.client."):
                assert kind == "counter"
                key = metric, ",".join(text for name, text in labels if name != "service")
                found[key] = found.get(key, 0.0) + amount
    return found


def client(transport: MemoryTransport, **options: object) -> Client:
    return Client(service="x", source="s", transport=transport, flush_interval=3600, **options)  # type: ignore[arg-type]


def test_no_rule_and_no_limit_takes_the_reason_away() -> None:
    transport = MemoryTransport()
    with client(transport, labels_allow=["route"], labels_deny=["reason", "fate"], max_series=1) as made:
        gauge = made.gauge("g", route="/")
        made.gauge("g", route="/b").set(1)
        made.gauge("g", route="/c").set(2)
        for _ in range(3):
            gauge.set(float("nan"))
        gauge.set(10, time_ms=-1)
        made.flush(1)
    assert told(transport) == {
        (losses.REFUSED, "not_a_number"): 3.0,
        (losses.REFUSED, "time"): 1.0,
        (losses.FOLDED, ""): 2.0,
        (losses.MEASUREMENTS, "lost"): 4.0,
        (losses.MEASUREMENTS, "taken"): 2.0,
    }


def test_what_was_taken_is_told_now_and_then_and_never_counts_itself() -> None:
    recorder, series, now = Recorder(1_000, 100, lambda: None), SeriesTable(10), 0.0
    kept = losses.Losses(recorder, series, "", "s", lambda: now)
    recorded = 0

    def turn(more: int) -> float:
        """One turn in which so many were recorded: what is told as taken."""
        nonlocal recorded
        recorded += more
        recorder.rows.clear()
        kept.tell({}, recorded)
        recorder.close_tallies()
        recorded += len(recorder.rows)
        return sum(row[2] for row in recorder.rows)

    assert turn(5) == 0.0
    now = 10.0
    assert turn(7) == 12.0
    for _ in range(5):
        now += 60.0
        assert turn(0) == 0.0, "an idle client is silent"
    assert turn(4) == 4.0


def test_a_lost_trace_is_no_lost_measurement() -> None:
    transport = MemoryTransport()
    with client(transport) as made:
        made.outcome("o").observe(good=False, trace_id="zz")
        made.flush(1)
    assert told(transport) == {(losses.REFUSED, "trace"): 1.0}


def test_a_destination_that_refuses_all_is_told_of_it_now_and_then_and_a_close_ends() -> None:
    class Refusing(MemoryTransport):
        sent = 0

        def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
            self.sent += 1
            on_result(Rejected("no"))

    transport = Refusing()
    made = client(transport)
    made.gauge("g").set(1)
    for _ in range(20):
        assert made.flush(1)
    assert transport.sent == 2, "the measurement, and that it was refused"
    assert made.close(30)
    assert transport.sent == 3


def test_a_close_tells_what_was_lost_last() -> None:
    made = client(transport := MemoryTransport())
    made.gauge("g").set(float("inf"))
    made.gauge("g").set(1)
    assert made.close(1)
    assert told(transport)[losses.REFUSED, "too_big"] == 1.0


def test_what_a_close_gives_up_is_told_by_the_next_life_once(tmp_path: Path) -> None:
    first = client(MemoryTransport(), spool=str(tmp_path))
    first._pump.backlog.commit = lambda: 0  # type: ignore[method-assign]  # a disk that takes nothing
    for number in range(7):
        first.gauge("g").set(number)
    assert not first.close(0.2)
    assert first.stats.given_up == 7
    transport = MemoryTransport()
    with client(transport, spool=str(tmp_path), catch_up_jitter=0.0) as second:
        second.gauge("g").set(1)
        assert second.flush(10)
    found = told(transport)
    assert found[losses.DROPPED, "given_up"] == 7.0
    assert found[losses.MEASUREMENTS, "lost"] == 7.0
    with client(again := MemoryTransport(), spool=str(tmp_path)) as third:
        third.gauge("g").set(1)
    assert (losses.DROPPED, "given_up") not in told(again)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[[1,2,3]]", b'[["tocsin.client.dropped","x",-4]]', b'[["other","x",4]]', b"\xff\xfe", b"[" * 70_000],
)
def test_a_file_that_says_nothing_is_passed_over(text: bytes, tmp_path: Path) -> None:
    name = losses.Losses(Recorder(9, 9, lambda: None), SeriesTable(9), "", "s")._stem
    (tmp_path / f"{name}b").write_bytes(text)
    with client(transport := MemoryTransport(), spool=str(tmp_path)) as made:
        made.gauge("g").set(1)
    assert told(transport) == {}
    assert not list(tmp_path.glob(f"{losses.OWED}*"))


def test_a_client_that_is_silent_or_disabled_takes_nothing_of_others(tmp_path: Path) -> None:
    name = losses.Losses(Recorder(9, 9, lambda: None), SeriesTable(9), "", "s")._stem
    (tmp_path / f"{name}b").write_text('[["tocsin.client.dropped","given_up",4]]')
    for options in ({"report": False}, {"disabled": True}):
        client(MemoryTransport(), spool=str(tmp_path), **options).close(0)
    with client(transport := MemoryTransport(), spool=str(tmp_path)) as made:
        made.gauge("g").set(1)
    assert told(transport)[losses.DROPPED, "given_up"] == 4.0
