"""Structured logs: one event name and its facts, on standard error, for people or as JSON lines.

What: the one place that configures logging; Faust's and aiokafka's own goes through the same output. Why: an operator
greps or indexes one form. It refuses to log payloads: callers give names and numbers; and logins, which aiokafka would.
"""

from __future__ import annotations

import logging
import sys

import structlog

#: aiokafka writes every request here at DEBUG, logins with their password or token among them.
REQUESTS = "aiokafka.conn"


def start(form: str, level: str) -> None:
    """`form` is console or json; console has colour only on a terminal."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    output = logging.StreamHandler(sys.stderr)
    output.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[output], level=level, force=True)
    logging.getLogger(REQUESTS).setLevel(max(logging.getLogger().level, logging.INFO))
