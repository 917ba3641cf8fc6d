"""Desktop: the machine that the demo runs on, read through psutil.

What: processor, memory, disk and network, in integer units, one reading a second. Why: the third kind of source needs
no recording. It refuses to invent a past: history holds no desktop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psutil
from tocsin import Client

#: What one reading holds: gauges and totals that only grow, by name.
Reading = tuple[Mapping[str, int], Mapping[str, int]]


def read() -> Reading:
    """One reading: gauges (m%, bytes) and growing totals (bytes)."""
    memory = psutil.virtual_memory()
    disk = psutil.disk_io_counters()
    network = psutil.net_io_counters()
    gauges = {
        "system.cpu.utilization": round(psutil.cpu_percent(interval=None) * 1000),
        "system.memory.used": int(memory.total - memory.available),
        "system.disk.used": int(psutil.disk_usage("/").used),
    }
    totals = {"system.network.sent": int(network.bytes_sent), "system.network.received": int(network.bytes_recv)}
    if disk is not None:
        totals |= {"system.disk.read": int(disk.read_bytes), "system.disk.written": int(disk.write_bytes)}
    return gauges, totals


class Desktop:
    """This machine as a source of the demo."""

    def __init__(self, connect: Callable[..., Client], reader: Callable[[], Reading] = read) -> None:
        self.reader = reader
        self.client = connect(source="desktop-1", kind="desktop", service="desktop", version="1")
        self.clients = [self.client]
        self._before: Mapping[str, int] | None = None
        self._next_ms = 0

    def emit(self, start_ms: int, end_ms: int) -> None:
        """Take one reading if a second of event time has passed since the last."""
        if end_ms < self._next_ms:
            return
        self._next_ms = end_ms + 1000
        gauges, totals = self.reader()
        for name, value in gauges.items():
            self.client.gauge(name, unit="m%" if name.endswith("utilization") else "By").set(value, end_ms - 1)
        before = self._before
        if before is not None:
            for name, total in totals.items():
                self.client.counter(name, unit="By").add(max(0, total - before.get(name, total)), end_ms - 1)
        self._before = totals
