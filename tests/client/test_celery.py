"""Celery's own worker: tasks are outcomes, in the trace of who asked for them; in one process, and in a pool of them.

Of the pool each task counts once, from the child that ran it or the parent of one that was ended, and a warm shutdown loses nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tocsin import Client, MemoryTransport, within_trace

from demo.wire import read_batch
from tests.client.fake_gateway import Gateway, counted, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from celery import Celery
    from celery.contrib.testing.worker import start_worker
    from tocsin.celery import watch

pytestmark = pytest.mark.filterwarnings("ignore")  # celery's and kombu's own use of what is deprecated
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ROOT = Path(__file__).parents[2]
TASKS, PATIENCE_S = 35, 90.0
BAD = len([n for n in range(TASKS) if n % 7 == 0])


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
def client(transport: MemoryTransport) -> Iterator[Client]:
    with Client(source="s", service="shop", transport=transport, flush_interval=3600) as made:
        tasks = watch(made)
        try:
            yield made
        finally:
            tasks.stop()


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Its worker puts handlers on the root logger: no other test shall speak through them."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def app(client: Client, as_it_was: None) -> Celery:
    made = Celery("shop", broker="memory://", backend="cache+memory://", set_as_current=False)
    made.conf.task_default_queue = f"q{id(made)}"

    @made.task(name="pay")
    def pay(person: str) -> str:
        client.log("paying")
        if person == "nobody":
            raise ValueError(person)
        return person

    @made.task(name="late", bind=True, max_retries=1)
    def late(self: Any) -> str:
        if self.request.retries == 0:
            raise self.retry(countdown=0)
        return "done"

    return made


def outcomes(transport: MemoryTransport) -> list[tuple[str, dict[str, str], float, int]]:
    """(metric, labels, value, outcome)."""
    found = []
    for _, value in transport.records:
        batch = read_batch(value)
        for place, number, outcome in zip(
            batch.series.tolist(), batch.value.tolist(), batch.outcome.tolist(), strict=True
        ):
            name, _, _, _, labels = batch.identities[place]
            found.append((name, {k: v for k, v in dict(labels).items() if k != "service"}, number, outcome))
    return found


def test_a_real_worker(app: Celery, client: Client, transport: MemoryTransport) -> None:
    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=60):
        with within_trace(f"00-{TRACE}-00f067aa0ba902b7-01"):
            good = app.tasks["pay"].delay("s3cret")
        bad = app.tasks["pay"].delay("nobody")
        again = app.tasks["late"].delay()
        assert good.get(timeout=60) == "s3cret"
        with pytest.raises(ValueError, match="nobody"):
            bad.get(timeout=60)
        assert again.get(timeout=60) == "done"
    assert client.flush(10)
    found = outcomes(transport)
    assert sorted((labels["task"], outcome) for name, labels, _, outcome in found if name == "celery.task") == [
        ("late", 1), ("pay", 0), ("pay", 1),
    ]  # fmt: skip
    assert [number for name, _, number, _ in found if name == "celery.task.retries"] == [1.0]
    assert all(number > 0 for name, _, number, _ in found)
    assert transport.logs is not None
    logged = b"".join(value for _, value in transport.logs.records)
    assert logged.count(b"paying") == 2
    assert logged.count(bytes.fromhex(TRACE)) == 1, "the trace of who asked, and no other task's"
    assert not any(b"s3cret" in value for _, value in [*transport.records, *transport.logs.records])


def test_eager_tasks_count_and_a_fault_of_ours_does_not_reach_them(app: Celery, client: Client) -> None:
    app.conf.task_always_eager = True
    client.outcome = None  # type: ignore[method-assign, assignment]
    assert app.tasks["pay"].delay("x").get() == "x"


def pids(gateway: Gateway, metric: str) -> dict[str, Counter[float]]:
    """boot -> the process ids that its measurements say."""
    found: dict[str, Counter[float]] = {}
    with gateway.lock:
        for batch in gateway.stored.values():
            for place, value in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
                if batch.identities[place][0] == metric:
                    found.setdefault(batch.boot, Counter())[value] += 1
    return found


class Pool:
    """A worker with its pool, and its broker's folder."""

    def __init__(self, directory: Path) -> None:
        self.folder = directory / "broker"
        self.log, self.spool = directory / "log", directory / "spool"
        self.folder.mkdir()
        self.process: subprocess.Popen[bytes] | None = None
        self._app = Celery("shop", broker="filesystem://", set_as_current=False)
        folders = ("data_folder_in", "data_folder_out", "control_folder")
        self._app.conf.broker_transport_options = {name: str(self.folder) for name in folders}

    def send(self, task: str, *arguments: object) -> None:
        self._app.send_task(task, arguments)

    def start(self, url: str, *options: str, **told: str) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
        environment = {
            "SHOP_FOLDER": str(self.folder), "TOCSIN_URL": url, "TOCSIN_SERVICE": "shop", "TOCSIN_SOURCE": "shop-1",
            "TOCSIN_SPOOL": str(self.spool), "TOCSIN_CATCH_UP_JITTER": "0", "PYTHONPATH": paths, **told,
        }  # fmt: skip
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel=warning")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-W", "ignore", "-m", "celery", "--app", "tests.client.celery_shop", "worker",
                    "--pool=prefork", "--concurrency=2", *quiet, *options,
                ],
                env={**os.environ, **environment}, cwd=self.folder, stdout=log, stderr=log,
            )  # fmt: skip

    def until(self, what: str, asked: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not asked():
            assert time.monotonic() < deadline, f"{what}\n{self.log.read_text()}"
            time.sleep(0.05)

    @property
    def waiting(self) -> int:
        """Messages that no worker has taken."""
        return len(list(self.folder.glob("*.msg")))

    def end(self) -> None:
        """Warm shutdown: what runs is done, then all processes end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text()


@contextmanager
def pool(directory: Path) -> Iterator[Pool]:
    made = Pool(directory)
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


def test_each_task_is_counted_by_the_child_that_ran_it(tmp_path: Path) -> None:
    """Nothing is sent before the end: all of it goes with the shutdown."""
    with serving() as gateway, pool(tmp_path) as worker:
        for order in range(TASKS):
            worker.send("pay", order)
        worker.start(gateway.url)
        worker.until("no message waits", lambda: worker.waiting == 0)
        worker.end()
        assert counted(gateway, "celery.task", "task") == {("pay", 1): TASKS - BAD, ("pay", 0): BAD}
        children = pids(gateway, "shop.paid")
        assert sum(sum(told.values()) for told in children.values()) == TASKS
        assert all(len(told) == 1 for told in children.values()), "a boot of its own for each process"
        parents = pids(gateway, "shop.begins")
        assert [sum(told.values()) for told in parents.values()] == [1], "a child starts at zero"
        assert not parents.keys() & children.keys()
        assert list(worker.spool.iterdir()) == []


@pytest.mark.slow
def test_nothing_is_lost_without_a_way_out_or_with_a_child_that_is_killed(tmp_path: Path) -> None:
    """The next worker sends what replaced children left in the spool; of a child that was ended the parent tells."""
    with serving() as gateway, pool(tmp_path) as worker:
        for order in range(TASKS):
            worker.send("pay", order)
        worker.start("http://127.0.0.1:1", "--max-tasks-per-child=12", TOCSIN_EXIT_DEADLINE="0.2")
        worker.until("no message waits", lambda: worker.waiting == 0)
        worker.end()
        assert counted(gateway, "celery.task", "task") == {}
        worker.start(gateway.url, SHOP_FLUSH="0.1")
        worker.until("all of it arrives", lambda: counted(gateway, "celery.task", "task").total() >= TASKS)
        assert len(pids(gateway, "shop.paid")) >= TASKS // 12 + 1
        worker.send("slow")
        worker.send("crash")
        worker.send("again", str(tmp_path / "times"))
        worker.until("the last one is told of", lambda: counted(gateway, "celery.task", "task")["again", 1] == 1)
        worker.until("all are told of", lambda: counted(gateway, "celery.task", "task").total() >= TASKS + 5)
        worker.end()
        assert counted(gateway, "celery.task", "task") == {
            ("pay", 1): TASKS - BAD, ("pay", 0): BAD,
            ("slow", 0): 1, ("crash", 0): 1, ("again", 0): 2, ("again", 1): 1,
        }  # fmt: skip
