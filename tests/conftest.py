"""Fixtures that every room's tests may use: a real broker and a real registry, each started once a run, when asked for.

What: `bootstrap` (host:port), `embedded_broker` (to kill and restart), `registry` (its URL); tests that take one are
marked `broker` by themselves. Why: one broker serves the whole run, so tests make topics with names of their own. It
refuses to fake either.
"""

from __future__ import annotations

import os
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.choice import Running, broker
from local.kafka import EmbeddedBroker
from local.registry import EmbeddedRegistry

#: Fixtures that need a broker process: a test that takes one of them gets the marker `broker`.
BROKER_FIXTURES = frozenset({"bootstrap", "running_broker", "embedded_broker", "registry"})


def announce(message: str) -> None:
    """Progress of a start, past pytest's capture, so that a first download does not look like a hang."""
    print(f"[local] {message}", file=sys.__stderr__, flush=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks each test that takes a broker fixture."""
    for item in items:
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def test_home() -> Iterator[Path]:
    """A directory for processes' files: TOCSIN_TEST_HOME, which is kept, or a temporary one, which is not."""
    given = os.environ.get("TOCSIN_TEST_HOME")
    if given:
        Path(given).mkdir(parents=True, exist_ok=True)
        yield Path(given)
    else:
        with tempfile.TemporaryDirectory(prefix="tocsin-test-", ignore_cleanup_errors=True) as directory:
            yield Path(directory)


@pytest.fixture(scope="session")
def running_broker(test_home: Path) -> Iterator[Running]:
    """The broker of this run: KAFKA_BOOTSTRAP's, Docker's or an embedded one."""
    with broker(announce, test_home / "kafka") as running:
        yield running


@pytest.fixture(scope="session")
def bootstrap(running_broker: Running) -> str:
    """`host:port` of a real broker that takes no topic it was not told to make."""
    return running_broker.bootstrap


@pytest.fixture
def embedded_broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    """A started broker for one test alone, which may kill it and start it again."""
    with EmbeddedBroker(tmp_path / "kafka", progress=announce) as own:
        yield own


@pytest.fixture(scope="session")
def registry(test_home: Path) -> Iterator[str]:
    """The URL of a real schema registry (Confluent's API, version 7)."""
    with EmbeddedRegistry(test_home / "registry", progress=announce) as started:
        yield started.url


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes a name that no other test has: for topics, groups and application ids on the shared broker."""
    return lambda stem: f"{stem}-{uuid.uuid4().hex[:8]}"
