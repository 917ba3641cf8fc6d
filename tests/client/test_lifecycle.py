"""Lifecycle: real processes that end, fork, are told to end, or run inside servers that do all of it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tocsin import Client, InvalidOption, MemoryTransport, lifecycle

from demo.wire import read_batch
from tests.client.processes import BEGIN, PATHS, batches, ended, printed, start, told, values

BUSY = 1.5  # seconds that a busy machine may add to a deadline
WAIT = "print('up', flush=True)\nwhile True: time.sleep(0.02)\n"


@pytest.mark.parametrize("spool", [False, True])
def test_sigterm_by_default_ends_the_process_with_everything_kept(tmp_path: Path, spool: bool) -> None:
    script = f"c = client(sigterm=True, spool={str(tmp_path / 'spool') if spool else ''!r})\nc.gauge('g').set(1.0)\n"
    process = start(script + WAIT, tmp_path / "out")
    told(process)
    process.send_signal(signal.SIGTERM)
    ended(process, -signal.SIGTERM)
    assert values(tmp_path / "out") == [1.0]


def test_without_the_option_sigterm_is_the_hosts(tmp_path: Path) -> None:
    process = start("c = client()\nc.gauge('g').set(1.0)\n" + WAIT, tmp_path / "out")
    told(process)
    process.send_signal(signal.SIGTERM)
    ended(process, -signal.SIGTERM)
    assert values(tmp_path / "out") == []


def test_a_host_with_a_way_to_end_goes_it(tmp_path: Path) -> None:
    script = (
        "def end(number, frame):\n    gauge.set(2.0)\n    sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "c = client(sigterm=True)\ngauge = c.gauge('g')\ngauge.set(1.0)\n"
    )
    process = start(script + WAIT, tmp_path / "out")
    told(process)
    process.send_signal(signal.SIGTERM)
    ended(process, 7)
    assert values(tmp_path / "out") == [1.0, 2.0]


SEVERAL = """
clients = [client(source=f's{n}', transport=sys.argv[2], spool=sys.argv[3] if n == 3 else '', sigterm=True)
           for n in range(4)]
for one in clients:
    one.gauge('g').set(1.0)
    one.event('started')
"""


@pytest.mark.parametrize("way", ["kafka://127.0.0.1:1", "http://127.0.0.1:{}"])
@pytest.mark.parametrize("own", [True, False], ids=["a way to end of its own", "none"])
def test_sigterm_is_short_with_several_clients_that_have_no_way_out(tmp_path: Path, way: str, own: bool) -> None:
    """Together a second before a host's own way, two before the default; what a spool can hold is held all the same."""
    handler = "signal.signal(signal.SIGTERM, lambda number, frame: os._exit(7))\n" if own else ""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # connections are taken, and nothing is ever said
        process = start(
            handler + SEVERAL + WAIT, tmp_path / "out", way.format(silent.getsockname()[1]), tmp_path / "spool"
        )
        told(process)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        ended(process, 7 if own else -signal.SIGTERM)
    took = time.monotonic() - began
    assert took < (1.0 if own else 2.0) + BUSY
    transport = MemoryTransport()
    spool = str(tmp_path / "spool")
    with Client(source="s3", service="x", transport=transport, spool=spool, catch_up_jitter=0.0) as made:
        assert made.flush(10)
        assert made.log_stats.recovered == 1
    assert [value for _, record in transport.records for value in read_batch(record).value.tolist()] == [1.0]


def test_signals_are_for_the_main_thread(tmp_path: Path) -> None:
    script = (
        "found = []\n"
        "def make():\n"
        "    try: client(sigterm=True)\n"
        "    except ValueError as error: found.append(str(error))\n"
        "t = threading.Thread(target=make); t.start(); t.join(); print(found)\n"
    )
    assert "main thread" in ended(start(script, tmp_path / "out"))


def test_an_exit_without_a_way_out_is_short_and_loses_nothing_with_a_spool(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    script = (
        f"c = client(transport='kafka://127.0.0.1:1', spool={str(folder)!r})\n"
        "g = c.gauge('g')\nfor n in range(5000): g.set(float(n))\n"
        "print('up', flush=True)\n"
    )
    process = start(script, tmp_path / "out")
    told(process)
    began = time.monotonic()
    ended(process)
    assert time.monotonic() - began < 2.0 + BUSY
    transport = MemoryTransport()
    with Client(source="s", service="x", transport=transport, spool=str(folder), catch_up_jitter=0.0) as made:
        assert made.flush(10)
    found = [value for _, record in transport.records for value in read_batch(record).value.tolist()]
    assert found == [float(n) for n in range(5000)]
    assert list(folder.iterdir()) == []


def test_a_deadline_of_ones_own(tmp_path: Path) -> None:
    script = "c = client(transport='http://127.0.0.1:1', exit_deadline=0.1)\nc.gauge('g').set(1.0)\n"
    script += "began = time.monotonic(); print(c.close(), time.monotonic() - began < 1.0)\n"
    assert ended(start(script, tmp_path / "out")) == "False True\n"


def test_clients_share_the_longest_of_their_deadlines_at_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, float] = {}
    now = 100.0

    def member(name: str, deadline: float, takes: float) -> lifecycle.Member:
        def close(timeout: float) -> bool:
            nonlocal now
            given[name] = round(timeout, 6)
            now += min(takes, timeout)
            return True

        return lifecycle.Member(close, close, [], lambda: None, deadline)

    monkeypatch.setattr(lifecycle, "monotonic", lambda: now)
    monkeypatch.setattr(lifecycle, "_members", [member("a", 2.0, 9.0), member("b", 3.0, 0.5), member("c", 3.0, 0.0)])
    lifecycle._at_exit()
    assert given == {"a": 2.0, "b": 1.0, "c": 0.5}


def test_a_client_that_cannot_be_closed_keeps_no_other_from_it(tmp_path: Path) -> None:
    """Nor the host from its own way to end, when a signal asks for it."""
    script = (
        "class Broken(Recording):\n"
        "    def close(self): raise RuntimeError('a fault of its own')\n"
        "def end(number, frame): os.write(1, b'ended\\n'); sys.exit(7)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "first = client(sigterm=True, transport=Broken(OUT, random.Random(1), faults=False))\n"
        "from tocsin import lifecycle\n"
        "lifecycle._members[-1].commit = None  # as broken as can be\n"
        "first.gauge('g').set(1.0)\n"
        "second = client()\nsecond.gauge('g').set(2.0)\n"
    )
    process = start(script + WAIT, tmp_path / "out")
    told(process)
    process.send_signal(signal.SIGTERM)
    assert ended(process, 7) == "ended\n"
    assert values(tmp_path / "out") == [1.0, 2.0]


def test_forks_of_a_child_leave_nothing_to_run_at_its_end(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        BEGIN + "import multiprocessing\nfrom multiprocessing import util\n"
        "def work():\n"
        "    c = client()\n"
        "    before = len(util._finalizer_registry)\n"
        "    for _ in range(20):\n"
        "        child = os.fork()\n"
        "        if child == 0: os._exit(0)\n"
        "        os.waitpid(child, 0)\n"
        "    print(len(util._finalizer_registry) - before)\n"
        "    c.gauge('g').set(1.0)\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context('fork').Process(target=work)\n"
        "    child.start(); child.join()\n"
    )
    assert printed(program, tmp_path / "out") == "0\n"
    assert values(tmp_path / "out") == [1.0]


def test_a_fork_holds_both_pumps_of_a_client_still() -> None:
    made = Client(source="s", service="x", transport=MemoryTransport())
    pumps = (made._pump, made._logs.pump)
    lifecycle._before_fork()
    assert [pump.lock.locked() for pump in pumps] == [True, True]
    lifecycle._after_fork_parent()
    assert [pump.lock.locked() for pump in pumps] == [False, False]
    made.close()


@pytest.mark.parametrize("spool", [False, True])
def test_children_under_load_neither_hang_nor_repeat(tmp_path: Path, spool: bool) -> None:
    """Two busy threads, twenty forks; each child records, ends by the interpreter's own way, and is counted once."""
    script = (
        f"c = client(flush_interval=0.001, batch_size=50, spool={str(tmp_path / 'spool') if spool else ''!r})\n"
        "counter, gauge = c.counter('busy'), c.gauge('g')\n"
        "stop = threading.Event()\n"
        "sums = []\n"
        "def busy():\n"
        "    done = 0\n"
        "    while not stop.is_set():\n"
        "        counter.add(1); done += 1\n"
        "        if done % 100 == 0: time.sleep(0.001)\n"
        "    sums.append(done)\n"
        "threads = [threading.Thread(target=busy) for _ in range(2)]\n"
        "for t in threads: t.start()\n"
        "for number in range(20):\n"
        "    pid = os.fork()\n"
        "    if pid == 0:\n"
        "        signal.alarm(20)\n"
        "        counter.add(1); gauge.set(float(number))\n"
        "        sys.exit(0 if c.close(10.0) else 1)\n"
        "    assert os.waitpid(pid, 0)[1] == 0, number\n"
        "stop.set()\n"
        "for t in threads: t.join()\n"
        "assert c.close(10.0), c.stats\n"
        "print(sum(sums))\n"
    )
    recorded = int(ended(start(script, tmp_path / "out")))
    found: dict[str, float] = {"busy": 0.0}
    gauges = []
    for batch in batches(tmp_path / "out"):
        for place, value in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
            if batch.identities[place][0] == "busy":
                found["busy"] += value
            else:
                gauges.append(value)
    assert sorted(gauges) == [float(number) for number in range(20)]
    assert found["busy"] == recorded + 20
    assert len({batch.boot for batch in batches(tmp_path / "out")}) == 21
    assert not spool or list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_send_what_they_recorded(tmp_path: Path, method: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        BEGIN + "import multiprocessing\n"
        "c = client()\n"
        "def work(number):\n    c.gauge('g').set(float(number))\n"
        "if __name__ == '__main__':\n"
        f"    context = multiprocessing.get_context({method!r})\n"
        "    children = [context.Process(target=work, args=(n,)) for n in range(3)]\n"
        "    for child in children: child.start()\n"
        "    for child in children: child.join()\n"
        "    print([child.exitcode for child in children])\n"
    )
    assert printed(program, tmp_path / "out") == "[0, 0, 0]\n"
    assert values(tmp_path / "out") == [0.0, 1.0, 2.0]


def test_asyncio_is_never_blocked(tmp_path: Path) -> None:
    """A destination that takes a second to say anything costs the loop nothing."""
    script = (
        "import asyncio\n"
        "class Slow:\n"
        "    def send(self, key, value, on_result): time.sleep(1.0); on_result(None)\n"
        "    def flush(self, timeout): return 0\n"
        "c = client(transport=Slow(), flush_interval=0.01)\n"
        "@c.measure('job')\n"
        "async def job(): await asyncio.sleep(0)\n"
        "async def main():\n"
        "    longest = 0.0\n"
        "    for _ in range(300):\n"
        "        began = time.perf_counter(); await job(); longest = max(longest, time.perf_counter() - began)\n"
        "        await asyncio.sleep(0.001)\n"
        "    return longest\n"
        "print(asyncio.run(main()) < 0.8)\n"
    )
    assert ended(start(script, tmp_path / "out")) == "True\n"


APP = (
    BEGIN.replace("sys.argv[1]", "os.environ['OUT']")
    + """
c = client(flush_interval=0.05, sigterm=True, spool=os.environ['SPOOL'])
requests = c.outcome('requests', unit='ms')
def wsgi(environ, start_response):
    with requests.timed():
        start_response('200 OK', [('Content-Length', '2')])
    return [b'ok']
async def asgi(scope, receive, send):
    if scope['type'] == 'lifespan':
        await receive()
        await send({'type': 'lifespan.startup.complete'})
        await receive()
        c.close()
        await send({'type': 'lifespan.shutdown.complete'})
        return
    async with requests.timed():
        await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'2')]})
        await send({'type': 'http.response.body', 'body': b'ok'})
"""
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def server(tmp_path: Path, command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server of the application; killed at the end if it is still there."""
    (tmp_path / "served.py").write_text(APP)
    told_of = {"OUT": str(tmp_path / "out"), "SPOOL": str(tmp_path / "spool")}
    environment = {**os.environ, **told_of, "PYTHONPATH": f"{PATHS}{os.pathsep}{tmp_path}"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=environment, cwd=tmp_path, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                ask(port)
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.05)
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def ask(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"ok"
    finally:
        connection.close()


SERVERS = {
    "gunicorn": ["gunicorn", "served:wsgi", "-w", "2", "--bind"],
    "gunicorn, loaded before the fork": ["gunicorn", "served:wsgi", "-w", "2", "--preload", "--bind"],
    "gunicorn, threads": ["gunicorn", "served:wsgi", "-w", "2", "--threads", "4", "--bind"],
    "uvicorn": ["uvicorn", "served:asgi", "--port"],
    "uvicorn, workers": ["uvicorn", "served:asgi", "--workers", "2", "--port"],
}


@pytest.mark.parametrize("name", SERVERS)
def test_every_request_of_a_server_is_counted_once(tmp_path: Path, name: str) -> None:
    port = free_port()
    address = f"127.0.0.1:{port}" if "gunicorn" in name else str(port)
    with server(tmp_path, [*SERVERS[name], address], port) as process:
        for _ in range(40):
            ask(port)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, -signal.SIGTERM}, (tmp_path / "log").read_text()
    assert len(values(tmp_path / "out")) == 41, (tmp_path / "log").read_text()
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_worker_that_is_killed_is_survived_by_its_spool(tmp_path: Path) -> None:
    """What the killed one promised is sent by the next client of the source."""
    folder, out = tmp_path / "spool", tmp_path / "out"
    script = (
        "class Away:\n"
        "    def send(self, key, value, on_result): on_result(TimeoutError())\n"
        "    def flush(self, timeout): return 0\n"
        f"c = client(transport=Away(), spool={str(folder)!r})\n"
        "c.gauge('g').set(1.0); print(c.commit(10), flush=True)\n"
    )
    process = start(script + WAIT, out)
    assert told(process) == "True\n"
    process.kill()
    process.communicate()
    ended(start(f"c = client(spool={str(folder)!r})\nc.gauge('g').set(2.0)\nassert c.flush(10)\n", out))
    assert values(out) == [1.0, 2.0]


def test_an_unknown_word_for_sigterm_is_an_error() -> None:
    with pytest.raises(InvalidOption, match="sigterm"):
        Client(source="s", service="x", transport=MemoryTransport(), sigterm="yes")  # type: ignore[arg-type]
