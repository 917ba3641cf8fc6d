"""Logs: records of `logging`, counted by level.

What: a counter `log.records` with the level, for the root logger or any other. Why: errors in the log are often the first
sign, and a count of them is an SLO. It refuses to look at a record's text, arguments or exception: they may hold anything.
"""

from __future__ import annotations

import logging
from threading import local

from tocsin.client import Client
from tocsin.instruments import Counter

METRIC = "log.records"
LEVELS = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)
LOWEST = "debug"


class LogCounts(logging.Handler):
    """Counts what is logged, at `level` and above. What is logged while it counts is not counted. Raises InvalidName."""

    def __init__(self, client: Client, metric: str = METRIC, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        names = (*(name for _, name in LEVELS), LOWEST)
        self._counters: dict[str, Counter] = {name: client.counter(metric, "{record}", level=name) for name in names}
        self._busy = local()

    def emit(self, record: logging.LogRecord) -> None:
        """Count it."""
        if getattr(self._busy, "counting", False):
            return
        self._busy.counting = True
        try:
            name = next((name for least, name in LEVELS if record.levelno >= least), LOWEST)
            self._counters[name].add(1)
        finally:
            self._busy.counting = False
