"""How a worker ends when going on would be wrong.

A worker that cannot deliver, restore or make progress must stop: its partitions then move to one that can, which
replays from the fence. Exit codes: 70 is "software refuses to go on", restart it; 78 is "a person must look first".
"""

from __future__ import annotations

import os
from collections.abc import Callable

import structlog

EXIT_RESTART = 70
EXIT_PERSON = 78

log = structlog.get_logger(__name__)
Ending = Callable[[int, str], None]


class FenceOutsideLog(RuntimeError):
    """The state's fence is not inside the topic's log: records are missing, so going on would be a silent loss."""


class RestoreFailed(RuntimeError):
    """A partition's state could not be loaded in time."""


class DeliveryFailed(RuntimeError):
    """The broker did not acknowledge what had to be delivered before state may move on."""


def end_process(code: int, reason: str) -> None:
    """Log and leave at once, with no flush that could acknowledge anything."""
    log.critical("worker_ends", code=code, reason=reason)
    os._exit(code)
