"""Agent: what this host tells, and a real process that is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from tocsin import Client, MemoryTransport
from tocsin.agent import Agent

from demo.wire import read_batch
from tests.client.fake_gateway import serving

SOURCES = str(Path(__file__).parents[2] / "client" / "src")


def seen(transport: MemoryTransport) -> dict[tuple[str, str], list[float]]:
    """(metric, its own label) -> values."""
    found: dict[tuple[str, str], list[float]] = {}
    for _, value in transport.records:
        batch = read_batch(value)
        for place, amount in zip(batch.series.tolist(), batch.value.tolist(), strict=True):
            labels = {key: text for key, text in batch.identities[place][4] if key != "service"}
            found.setdefault((batch.identities[place][0], ",".join(labels.values())), []).append(amount)
    return found


def test_a_host_is_told_in_shares_and_bytes() -> None:
    transport = MemoryTransport()
    with Client(service="host", source="h1", transport=transport, flush_interval=3600) as made:
        agent = Agent(made)
        agent.sample()
        agent.sample()
    found = seen(transport)
    assert len(found["system.cpu.utilization", ""]) == 2
    shares = [value for (metric, _), values in found.items() if "utilization" in metric for value in values]
    assert all(0 <= share <= 1 for share in shares)
    assert found["system.cpu.load_average.1m", ""][0] >= 0
    assert not any(metric == "tocsin.agent.failed" for metric, _ in found)


def test_traffic_is_what_totals_grew_by_and_a_new_beginning_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    totals = iter([100, 150, 20, 30])
    transport = MemoryTransport()

    def counters() -> SimpleNamespace:
        total = next(totals)
        return SimpleNamespace(bytes_recv=total, bytes_sent=2 * total)

    monkeypatch.setattr(psutil, "net_io_counters", counters)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)
    with Client(service="host", source="h1", transport=transport, flush_interval=3600) as made:
        agent = Agent(made)
        for _ in range(4):
            agent.sample()
    found = seen(transport)
    assert found["system.network.io", "receive"] == [60.0]
    assert found["system.network.io", "transmit"] == [120.0]


def test_what_a_system_does_not_tell_is_counted_and_costs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NotImplementedError

    monkeypatch.setattr(psutil, "virtual_memory", missing)
    transport = MemoryTransport()
    with Client(service="host", source="h1", transport=transport, flush_interval=3600) as made:
        Agent(made).sample()
    found = seen(transport)
    assert found["tocsin.agent.failed", "memory"] == [1.0]
    assert ("system.cpu.utilization", "") in found


def test_one_bad_mount_costs_itself_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["/unreadable", "/\udce9t\udce9", "/", "/\x01"]  # the second is not UTF-8, the fourth is no label

    def usage(name: str) -> SimpleNamespace:
        if name == "/unreadable":
            raise PermissionError(name)
        return SimpleNamespace(percent=50.0)

    monkeypatch.setattr(psutil, "disk_partitions", lambda **asked: [SimpleNamespace(mountpoint=name) for name in names])
    monkeypatch.setattr(psutil, "disk_usage", usage)
    transport = MemoryTransport()
    with Client(service="host", source="h1", transport=transport, flush_interval=3600) as made:
        Agent(made).sample()
    found = seen(transport)
    told = [label for metric, label in found if metric == "system.filesystem.utilization"]
    assert told[:2] == ["/\ufffdt\ufffd", "/"]
    assert found["tocsin.agent.failed", "file_systems"][0] >= 1.0
    assert ("system.network.io", "receive") in found or ("system.memory.utilization", "") in found


def agent(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    settled = {**os.environ, "PYTHONPATH": SOURCES, **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "tocsin.agent", *arguments], env=settled, stderr=subprocess.PIPE, text=True
    )


def test_a_real_agent_sends_and_ends_when_it_is_told_to() -> None:
    with serving() as gateway:
        process = agent("--interval", "0.1", TOCSIN_URL=gateway.url, TOCSIN_SERVICE="host", TOCSIN_FLUSH_INTERVAL="0.1")
        while not gateway.values:
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
        metrics = Counter(
            batch.identities[place][0] for batch in gateway.stored.values() for place in batch.series.tolist()
        )
    assert metrics["system.cpu.utilization"] >= 1


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        ((), {}, "TOCSIN_URL"),
        ((), {"TOCSIN_URL": "https://x", "TOCSIN_FLUSH_INTERVAL": "soon"}, "TOCSIN_FLUSH_INTERVAL"),
        (("--interval", "0"), {"TOCSIN_URL": "https://x"}, "--interval"),
    ],
)
def test_a_mistake_is_named_and_ends_it(arguments: tuple[str, ...], environment: dict[str, str], said: str) -> None:
    process = agent(*arguments, **environment)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 2
    assert said in errors
    assert "Traceback" not in errors
