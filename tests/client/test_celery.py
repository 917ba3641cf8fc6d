"""Celery's own worker, with a broker in memory: tasks are outcomes, in the trace of who asked for them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from tocsin import Client, MemoryTransport, within_trace

from demo.wire import read_batch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from celery import Celery
    from celery.contrib.testing.worker import start_worker
    from tocsin.celery import watch

pytestmark = pytest.mark.filterwarnings("ignore")  # celery's and kombu's own use of what is deprecated
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


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
