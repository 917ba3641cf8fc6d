"""Logs: records of `logging`, counted by level, or sent as log records.

What: two handlers for the root logger or any other: a counter `log.records` with the level, and records with text, severity,
place in the code and trace. Why: errors in the log are often the first sign; a count of them is an SLO, and their text is what
on-call reads next. They refuse what may hold anything: a text's arguments, unless they are asked for, and an exception's text.
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
SEVERITIES = ((50, 21), (40, 17), (30, 13), (20, 9), (10, 5))  # level of `logging`, OpenTelemetry's number
OURS = "tocsin"  # loggers of the client itself: their trouble is told by other means


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


class LogRecords(logging.Handler):
    """Sends what is logged, at `level` and above, as log records.

    `arguments`: the text with its arguments put in; else the text as it stands in the code ("payment of %s failed").
    """

    def __init__(self, client: Client, level: int = logging.WARNING, *, arguments: bool = False) -> None:
        super().__init__(level)
        self._client = client
        self._arguments = arguments
        self._busy = local()

    def emit(self, record: logging.LogRecord) -> None:
        """Send it. What is logged while it is at it is left out."""
        if getattr(self._busy, "sending", False) or record.name.partition(".")[0] == OURS:
            return
        self._busy.sending = True
        try:
            found = {"logger": record.name, "code.function": record.funcName, "code.line": record.lineno}
            if record.exc_info and record.exc_info[0] is not None:
                found["exception.type"] = record.exc_info[0].__qualname__
            severity = next((number for least, number in SEVERITIES if record.levelno >= least), 1)
            self._client.log(
                self._text(record), severity=severity, time_ms=int(record.created * 1000), **found
            )  # fmt: skip
        finally:
            self._busy.sending = False

    def _text(self, record: logging.LogRecord) -> str:
        if not self._arguments:
            return str(record.msg)
        try:
            return record.getMessage()
        except Exception:  # noqa: BLE001 - arguments that do not fit, or whose text raises
            return str(record.msg)
