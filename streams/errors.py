"""How a worker ends when going on would be wrong.

What: one class a cause, whose docstring is the message, and the one way out of the process. Why: a worker that cannot
deliver, restore or make progress must stop; its partitions then move to one that can, which replays from the fence.
Exit codes: 70 is "the software refuses to go on", restart it; 78 is "a person must look first". It refuses to end
gently: a flush or an acknowledgement on the way out is what would lose data.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import sentry_sdk
import structlog

from streams.limits import LAST_WORDS_S

EXIT_RESTART = 70
EXIT_PERSON = 78

log = structlog.get_logger(__name__)
Ending = Callable[[int, str], None]


class ShellError(RuntimeError):
    """The shell cannot go on."""

    def __init__(self, detail: str = "", **facts: object) -> None:
        text = " ".join((type(self).__doc__ or "").split())
        super().__init__(detail or text.format_map({name: str(value) for name, value in facts.items()}))
        self.facts = facts


class NeedsPerson(ShellError):
    """Another start would end the same way until somebody has decided."""


class FenceOutsideLog(NeedsPerson):
    """The state's fence is not inside the topic's log: records are missing, so going on would be a silent loss."""


class FenceBelowLog(FenceOutsideLog):
    """{place}: state is complete to offset {fence}, but the log now begins at {low}: {missing} records are gone. Restore
    the topic from a replica, or accept the loss: stop all workers, delete the tocsin.state.* topics, run `tocsin topics
    create`, start again."""


class FenceBeyondLog(FenceOutsideLog):
    """{place}: state is complete to offset {fence}, but the log ends at {high}: the topic was recreated or truncated.
    Recreate the state topics with it."""


class RestoreFailed(ShellError):
    """{place}: the state could not be loaded: {reason}."""


class ChunkMissing(ShellError):
    """{place}: applied up to offset {fence}, and the next chunk begins at {begins}: what is between was fetched and never
    came. A restart reads it again."""


class DeliveryFailed(ShellError):
    """The broker did not acknowledge what had to be delivered before state may move on: {reason}."""


class OutputRefused(NeedsPerson):
    """The broker refuses a record of {size} bytes for {topic}, which cannot be sent in another form: {reason}. Raise
    max.message.bytes of that topic (the table says 8 MiB: `tocsin topics describe`) and start again; nothing is lost."""


def code_of(error: Exception) -> int:
    """The exit code that an error asks for."""
    return EXIT_PERSON if isinstance(error, NeedsPerson) else EXIT_RESTART


def end_process(code: int, reason: str) -> None:
    """Log, tell Sentry if it is configured, and leave at once, with no flush that could acknowledge anything."""
    log.critical("worker_ends", code=code, reason=reason)
    sentry_sdk.flush(timeout=LAST_WORDS_S)
    os._exit(code)
