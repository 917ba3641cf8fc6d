"""Client: options, instruments, exit and fork."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tocsin import Client, InvalidLabel, InvalidName, InvalidOption, InvalidSource, MemoryTransport
from tocsin.disk import Disk

from demo.wire import read_batch
from tests.client.spooled import drained, spool

SOURCE_TREE = str(Path(__file__).parents[2] / "client" / "src")


def client(transport: MemoryTransport | None = None, **options: object) -> Client:
    settled: dict[str, object] = {"flush_interval": 3600, "service": "x", "kind": "web", "source": "s", **options}
    return Client(transport=transport or MemoryTransport(), **settled)  # type: ignore[arg-type]


def values(transport: MemoryTransport) -> list[float]:
    return [value for _, record in transport.records for value in read_batch(record).value.tolist()]


@pytest.mark.parametrize(
    ("option", "error"),
    [
        ({"flush_interval": 0}, InvalidOption),
        ({"batch_size": 5000}, InvalidOption),
        ({"batch_size": True}, InvalidOption),
        ({"buffer_measurements": 0}, InvalidOption),
        ({"buffer_bytes": "1"}, InvalidOption),
        ({"transport": "ftp://x"}, InvalidOption),
        ({"transport": "kafka://"}, InvalidOption),
        ({"kind": "car"}, InvalidSource),
        ({"source": ""}, InvalidSource),
        ({"service": "s" * 300}, InvalidSource),
        ({"attributes": {"a": 1.5}}, InvalidLabel),
    ],
)
def test_bad_options_are_errors_at_once(option: dict[str, object], error: type[Exception]) -> None:
    options: dict[str, object] = {
        "transport": MemoryTransport(), "service": "x", "kind": "web", "source": "s", **option,
    }  # fmt: skip
    with pytest.raises(error):
        Client(**options)  # type: ignore[arg-type]


def test_bad_names_and_labels_are_errors_at_bind() -> None:
    made = client()
    with pytest.raises(InvalidName):
        made.counter("no spaces")
    with pytest.raises(InvalidLabel):
        made.gauge("g", k=[1])
    with pytest.raises(InvalidLabel):
        made.gauge("g").bind(k=1.5)
    made.close()


def test_every_instrument_arrives_as_what_it_is() -> None:
    transport = MemoryTransport()
    with client(transport, version="7", region="eu") as made:
        made.counter("c", route="/").add(2)
        made.counter("c", route="/").add(3)
        made.gauge("g", unit="Cel").bind(room="a").set(-4, time_ms=1000)
        made.histogram("h", unit="ms").record(12)
        made.outcome("o").observe(False, 7, trace_id="ab" * 16)
    batches = [read_batch(record) for _, record in transport.records]
    found = {
        batch.identities[s][0]: (batch.identities[s], value, outcome)
        for batch in batches
        for s, value, outcome in zip(batch.series, batch.value.tolist(), batch.outcome.tolist(), strict=True)
    }
    assert found["c"][1:] == (5.0, 2)
    assert found["g"] == (
        ("g", "gauge", "Cel", "web", (("region", "eu"), ("room", "a"), ("service", "x"), ("version", "7"))),
        -4.0,
        2,
    )
    assert found["h"][0][1] == "histogram"
    assert found["o"][1:] == (7.0, 0)


def test_the_same_instrument_is_handed_out_again() -> None:
    made = client()
    assert made.counter("c", a="1") is made.counter("c", a="1")
    assert made.counter("c", a="1") is not made.counter("c", a="2")
    made.close()


def test_two_binds_of_one_counter_share_its_sum() -> None:
    transport = MemoryTransport()
    with client(transport) as made:
        made.counter("c").bind(a="1").add(1)
        made.counter("c", a="1").add(1)
    assert values(transport) == [2.0]


def test_series_past_the_limit_fold_into_a_visible_overflow() -> None:
    transport = MemoryTransport()
    with client(transport, max_series=3) as made:
        for number in range(10):
            made.gauge("g", user=number).set(number)
        assert made.stats.folded == 7
        assert made.stats.series == 4
    batch = read_batch(transport.records[0][1])
    assert ("tocsin_overflow", "true") in batch.identities[int(batch.series[9])][4]


def test_nothing_is_taken_after_close_and_nothing_raises() -> None:
    transport = MemoryTransport()
    made = client(transport)
    gauge, counter = made.gauge("g"), made.counter("c")
    gauge.set(1)
    assert made.close()
    gauge.set(2)
    counter.add(1)
    assert made.close()
    assert values(transport) == [1.0]
    assert made.stats.refused == {"closed": 2}


def test_the_account_adds_up() -> None:
    transport = MemoryTransport()
    made = client(transport, report=False)
    for value in range(10):
        made.gauge("g").set(value)
    made.flush(1)
    transport.answer = TimeoutError("down")
    for value in range(5):
        made.gauge("g").set(value)
    made.close(timeout=0.1)
    stats = made.stats
    assert stats.recorded == 15
    assert stats.recorded == stats.delivered + stats.given_up + stats.buffered + stats.in_flight
    assert stats.given_up == 5


def test_close_keeps_to_its_deadline() -> None:
    transport = MemoryTransport()
    transport.answer = TimeoutError("down")
    made = client(transport)
    made.gauge("g").set(1)
    began = time.monotonic()
    assert not made.close(timeout=0.3)
    assert time.monotonic() - began < 1.0


class Stuck(Disk):
    """A disk whose syncs take until they are told to end."""

    def __init__(self) -> None:
        self.reached, self.go = threading.Event(), threading.Event()

    def sync(self, descriptor: int) -> None:
        self.reached.set()
        assert self.go.wait(60)
        super().sync(descriptor)


def test_a_client_closed_while_the_disk_is_stuck_leaves_its_files_to_the_thread(tmp_path: Path) -> None:
    """By then a number of a file that was closed may be that of the host's next file."""
    transport = MemoryTransport()
    made = client(transport, source="car-1", spool=str(tmp_path), report=False, flush_interval=0.01)
    assert made._spool is not None
    made._spool.disk = disk = Stuck()
    made.gauge("g").set(1.0)
    assert disk.reached.wait(10)
    began, writing = time.monotonic(), made._spool._writing
    assert not made.close(0.1)
    assert time.monotonic() - began < 1.0
    assert os.path.samestat(os.fstat(writing), next(tmp_path.rglob("*.seg")).stat())
    disk.go.set()
    assert made._pump.thread is not None
    made._pump.thread.join(20)
    assert made._spool._writing == -1
    assert transport.records == [], "a client that is closed sends nothing"
    after = spool(tmp_path, "b2")
    assert [one.rows for one in drained(after)] == [1]
    after.close()
    assert list(tmp_path.iterdir()) == []


def test_recording_within_a_finaliser_does_not_block() -> None:
    transport = MemoryTransport()
    made = client(transport)
    counter = made.counter("c")

    class Finalised:
        def __del__(self) -> None:
            counter.add(1)
            made.gauge("g").set(1)

    for _ in range(1000):
        cycle = [Finalised()]
        cycle.append(cycle)  # type: ignore[arg-type]
        counter.add(1)
    gc.collect()
    made.flush(1)
    sent = [read_batch(record) for _, record in transport.records]
    counted = sum(v for b in sent for s, v in zip(b.series, b.value, strict=True) if b.identities[s][0] == "c")
    assert counted == 1_999, "the last of them is still alive"
    made.close()


def run(script: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE_TREE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, env=environment, check=False
    )


def test_exit_flushes() -> None:
    done = run(
        "import tocsin\n"
        "class Out:\n"
        "    def send(self, key, value, on_result): print('sent', len(value) > 50, flush=True); on_result(None)\n"
        "    def flush(self, timeout): return 0\n"
        "c = tocsin.Client(source='s', service='x', kind='web', transport=Out(), flush_interval=3600)\n"
        "c.gauge('g').set(1)\n"
    )
    assert done.stdout == "sent True\n", done.stderr


def test_exit_keeps_to_its_deadline_when_nothing_gets_through() -> None:
    began = time.monotonic()
    done = run(
        "import tocsin\n"
        "for port in (1, 2, 3):\n"
        "    c = tocsin.Client(source='s', service='x', kind='web', transport=f'kafka://127.0.0.1:{port}')\n"
        "    c.gauge('g').set(1)\n"
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "the host's standard error is not ours"
    assert time.monotonic() - began < 3.5, "2 s for all clients together, and the interpreter, which begins and imports"


def test_importing_it_imports_neither_kafka_nor_avro() -> None:
    done = run(
        "import sys, tocsin; print([m for m in ('confluent_kafka','fastavro','numpy','json') if m in sys.modules])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_forked_child_starts_at_zero_with_a_boot_id_of_its_own() -> None:
    transport = MemoryTransport()
    made = client(transport)
    counter, gauge = made.counter("c"), made.gauge("g")
    counter.add(5)
    gauge.set(1)
    made.flush(1)
    counter.add(7)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        transport.records.clear()
        counter.add(1)
        made.flush(1)
        os.write(writing, f"{made.boot} {made.stats.recorded} {values(transport)}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    boot, rest = os.read(reading, 1000).decode().split(" ", 1)
    assert boot != made.boot
    assert rest == "1 [1.0]"
    made.flush(1)
    assert sorted(values(transport)) == [1.0, 5.0, 7.0]
    made.close()


def test_children_forked_under_load_do_not_hang() -> None:
    made = client(MemoryTransport(), flush_interval=0.001, batch_size=50)
    counter, gauge = made.counter("c"), made.gauge("g")
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            counter.add(1)
            gauge.set(1)

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    hung = 0
    for _ in range(30):
        child = os.fork()
        if child == 0:
            signal.alarm(3)
            counter.add(1)
            gauge.set(1)
            os._exit(0 if made.flush(2) and made.stats.delivered == 2 else 1)
        _, status = os.waitpid(child, 0)
        hung += status != 0
    stop.set()
    for thread in threads:
        thread.join()
    made.close()
    assert hung == 0


def test_a_signal_handler_may_record_and_nothing_is_lost_or_doubled() -> None:
    transport = MemoryTransport()
    made = client(transport)
    counter, gauge = made.counter("c"), made.gauge("g")
    signals = 0

    def signalled(*unused: object) -> None:
        nonlocal signals
        signals += 1
        counter.add(1)
        gauge.set(1.0)

    before = signal.signal(signal.SIGALRM, signalled)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for _ in range(200_000):
            counter.add(1)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert made.flush(5)
    assert made.stats.refused == {}
    assert signals > 10
    assert sum(values(transport)) == 200_000 + 2 * signals
    made.close()
