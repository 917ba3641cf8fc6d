"""What a person asks for is never lost: commands that come while the workers' group changes hands."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from typing import Self

import pytest
from confluent_kafka import Producer

from local.process import free_port
from schemas import codec
from schemas.records import Command
from streams import topics
from tests.integration.plant import PARTITIONS, Plant, now_ms
from tests.streams.broker import fill

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

CHANGES = 3  # a second worker comes and goes so often
GAP_S = 0.01
OTHER = "other"


class People:
    """They ask without a pause, in every partition."""

    def __init__(self, bootstrap: str) -> None:
        self.asked: set[str] = set()  # by those commands that the broker has acknowledged
        self._producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        for number in itertools.count():
            if self._ended.wait(GAP_S):
                return
            name = f"asked-{number}"
            (command,) = commands(name)

            def acknowledged(error: object, _: object, name: str = name) -> None:
                if error is None:
                    self.asked.add(name)

            self._producer.produce(topics.COMMANDS, command, b"nobody", number % PARTITIONS, on_delivery=acknowledged)
            self._producer.poll(0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(30) == 0


def commands(*names: str) -> list[bytes]:
    return [codec.encode(Command(name, "acknowledge", "nobody", "ada", now_ms(), {})) for name in names]


def forwarded(plant: Plant) -> set[str]:
    """Commands that are among the alerts."""
    return {entry.record.command_id for entry in plant.tap.of(topics.ALERTS) if isinstance(entry.record, Command)}


def begun(plant: Plant) -> None:
    """A second worker has its share of the partitions."""
    log = plant.directory / f"{OTHER}-{plant.workers.kills}.log"
    log.unlink(missing_ok=True)
    plant.workers.start(OTHER, {"TOCSIN_HEALTH_PORT": str(free_port())})
    plant.until("a share for the second worker", lambda: " restored " in log.read_text("utf-8"))


def test_the_first_command_ever_is_not_lost_by_a_worker_that_takes_over(plant: Plant) -> None:
    """Nothing was committed yet, so Kafka's clients have nowhere to seek to, whatever a fetch has passed already."""
    begun(plant)
    plant.workers.kill(OTHER)
    firsts = [f"first-{partition}" for partition in range(PARTITIONS)]
    fill(plant.bootstrap, topics.COMMANDS, enumerate(commands(*firsts)))
    plant.until("every command among the alerts", lambda: set(firsts) <= forwarded(plant), 30.0)


def test_no_command_is_lost_while_workers_come_and_go(plant: Plant) -> None:
    with People(plant.bootstrap) as people:
        for _ in range(CHANGES):
            begun(plant)
            os.kill(plant.workers.pid(OTHER), signal.SIGTERM)
            plant.until("its end", lambda: OTHER not in plant.workers.names)
            plant.workers.kill(OTHER)  # gone already: its guard goes too
    assert people.asked
    plant.until("every command among the alerts", lambda: people.asked <= forwarded(plant), 30.0)
