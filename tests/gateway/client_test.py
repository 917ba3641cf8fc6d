"""The client library over the real gateway to a real broker: what it promised is there, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest
from tocsin import Client
from tocsin.gateway import GatewayTransport

from gateway.verdicts import read
from tests.gateway.test_server import ROOT, said, started, stored
from tests.streams.broker import make_topic

MEASUREMENTS = 30_000


class Killed:
    """A gateway process on one port, which is killed and started again."""

    def __init__(self, env: dict[str, str], bootstrap: str, folder: Path) -> None:
        self._env, self._bootstrap, self._folder = env, bootstrap, folder
        self.starts = 0
        self.process = None

    async def start(self, port: str = "0") -> str:
        self.starts += 1
        log = self._folder / f"gateway-{self.starts}"
        self.process = started({**self._env, "TOCSIN_GATEWAY_PORT": port}, self._bootstrap, log)
        lines = await said(log, "broker_there")
        return next(line["url"] for line in lines if line["event"] == "gateway_listens")

    async def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(how)
            await asyncio.to_thread(self.process.wait, 30)


@pytest.mark.parametrize("spool", [False, True])
async def test_a_gateway_killed_in_the_middle_costs_no_measurement(bootstrap, unique, tmp_path, spool):
    topic = make_topic(bootstrap, unique("client"), 2)
    env = {
        **os.environ, "TOCSIN_GATEWAY_HEALTH_PORT": "0", "TOCSIN_GATEWAY_TOPIC": topic,
        "TOCSIN_GATEWAY_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    gateway = Killed(env, bootstrap, tmp_path)
    url = await gateway.start()
    options = {"spool": str(tmp_path / "spool"), "catch_up_jitter": 0.0} if spool else {}
    client = Client(
        source="car-1", service="ride", transport=GatewayTransport(url), report=False, flush_interval=0.02, **options
    )
    try:
        observe = client.histogram("ride.speed", unit="km/h").record
        for number in range(MEASUREMENTS):
            observe(float(number))
            if number % 100 == 0:
                await asyncio.sleep(0.002)  # so that requests are on their way when it is killed
            if number in (MEASUREMENTS // 3, 2 * MEASUREMENTS // 3):
                await gateway.end(signal.SIGKILL)
                await gateway.start(url.rpartition(":")[2])
        assert await asyncio.to_thread(client.flush, 60.0), client.stats
        assert client.stats.delivered == MEASUREMENTS
        assert client.stats.given_up == 0
        assert gateway.starts == 3
    finally:
        await asyncio.to_thread(client.close, 1.0)
        await gateway.end(signal.SIGTERM)
    rows = {}
    for _, key, value, _ in stored(bootstrap, topic, 2):
        row = read(value)
        assert key == b"car-1"
        rows[row.boot, row.sequence] = row  # what came twice has the same ids
    found = sorted(float(value) for row in rows.values() for value in row.value)
    assert found == [float(number) for number in range(MEASUREMENTS)]
