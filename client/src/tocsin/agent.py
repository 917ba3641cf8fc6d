"""Agent: what a host is busy with, as telemetry: `python -m tocsin.agent`, configured by TOCSIN_* like any client.

What: processor, memory, load, file systems, network and disk traffic, once an interval, under the names of OpenTelemetry's
conventions for hosts. Why: an SLO on a service needs to be told from a host that is full. It refuses to look at processes,
their names or their arguments: they may hold anything.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Mapping
from threading import Event

import psutil

from tocsin.client import Client
from tocsin.errors import TocsinError
from tocsin.limits import LABEL_VALUE_CHARS

INTERVAL_S = 10.0
FILE_SYSTEMS_MOST = 32  # a host with more of them has most of them mounted for containers


class Agent:
    """Samples this host into a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._before: dict[tuple[str, str], int] = {}  # (metric, direction) -> total at the last sample
        psutil.cpu_percent()  # the first answer is about nothing; from now on it is about the time between two

    def sample(self) -> None:
        """Record everything that this system tells, once."""
        for part in (self._processor, self._memory, self._file_systems, self._traffic):
            try:
                part()
            except (OSError, AttributeError, NotImplementedError, TocsinError, psutil.Error):
                self._failed(part.__name__.strip("_"))

    def _failed(self, part: str) -> None:
        self._client.counter("tocsin.agent.failed", "{sample}", part=part).add(1)

    def _processor(self) -> None:
        self._client.gauge("system.cpu.utilization").set(psutil.cpu_percent() / 100)
        self._client.gauge("system.cpu.load_average.1m", "{thread}").set(psutil.getloadavg()[0])

    def _memory(self) -> None:
        memory = psutil.virtual_memory()
        self._client.gauge("system.memory.utilization").set(1 - memory.available / memory.total)
        self._client.gauge("system.paging.utilization").set(psutil.swap_memory().percent / 100)

    def _file_systems(self) -> None:
        for found in psutil.disk_partitions(all=False)[:FILE_SYSTEMS_MOST]:
            shown = os.fsencode(found.mountpoint).decode("utf-8", "replace")  # a name is bytes, a label is text
            try:
                used = psutil.disk_usage(found.mountpoint).percent / 100
                self._client.gauge("system.filesystem.utilization", mountpoint=shown[:LABEL_VALUE_CHARS]).set(used)
            except (OSError, TocsinError, psutil.Error):  # of one; the others are told
                self._failed("file_systems")

    def _traffic(self) -> None:
        network, disk = psutil.net_io_counters(), psutil.disk_io_counters()
        if network is not None:
            self._grown("system.network.io", {"receive": network.bytes_recv, "transmit": network.bytes_sent})
        if disk is not None:
            self._grown("system.disk.io", {"read": disk.read_bytes, "write": disk.write_bytes})

    def _grown(self, metric: str, totals: Mapping[str, int]) -> None:
        """What totals grew by since the sample before; one that fell began anew, and says nothing once."""
        for direction, total in totals.items():
            before = self._before.get((metric, direction))
            self._before[metric, direction] = total
            if before is not None and total >= before:
                self._client.counter(metric, "By", direction=direction).add(total - before)


def run(client: Client, interval: float, stop: Event, sampled: Callable[[], None] = lambda: None) -> None:
    """Sample at each interval until told to stop."""
    agent = Agent(client)
    while not stop.wait(interval):
        agent.sample()
        sampled()


def main(arguments: list[str]) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tocsin.agent", description="Publishes what this host is busy with."
    )
    parser.add_argument("--interval", type=float, default=INTERVAL_S, help="seconds between two samples (0.1 to 3600)")
    chosen = parser.parse_args(arguments)
    if not 0.1 <= chosen.interval <= 3600:
        parser.error(f"--interval {chosen.interval}; between 0.1 and 3600 is expected")
    try:
        client = Client()
    except TocsinError as error:
        print(error, file=sys.stderr)  # noqa: T201 - it is a command
        return 2
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *unused: stop.set())
    with client:
        run(client, chosen.interval, stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
