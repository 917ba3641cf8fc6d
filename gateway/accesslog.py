"""Access log: one line an answer, without anything that opens a door.

What: method, route, status, seconds, bytes, who. Why: an operator must see who sends and what is refused. It refuses
query strings, headers and bodies, since keys and tokens travel in them, and paths that are not routes of ours, since
anything can stand in them.
"""

from __future__ import annotations

import structlog

log = structlog.get_logger(__name__)

FAILURE_FROM = 400


class AccessLog:
    """`which`: all, failures or none."""

    def __init__(self, which: str) -> None:
        self._least = {"all": 0, "failures": FAILURE_FROM, "none": 1_000}[which]

    def wrote(self, method: str, route: str, status: int, seconds: float, size: int, who: str, peer: str) -> None:
        """One answer. `size`: declared bytes of the body. `who`: name of the credential, "" before it is known."""
        if status >= self._least:
            log.info(
                "request", method=method, route=route, status=status, seconds=round(seconds, 4), bytes=size,
                who=who, peer=peer,
            )  # fmt: skip
