"""Hasty worker: ours, with one rule broken: it keeps and acknowledges what it did before it has told it. A control; a program.

What: the worker as it is, except that a checkpoint of the aggregate writes its state and acknowledges first, and dies by its
own hand before it tells of the first panes that closed. Why: commit before processing is what the product's order rules out,
so the oracle must see what it costs in the product itself, and not only in a toy. It refuses to break anything else.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from schemas import codec
from schemas.cells import FLAG_SLO
from schemas.records import PartialBatch
from streams.__main__ import main
from streams.producer import Outgoing, Sent
from streams.stage import Stage, Unsaved

HASTY = "aggregate"


def closes(outputs: Iterable[Outgoing]) -> bool:
    """Whether something is told of panes, beside heartbeats and SLO groups."""
    batches = (codec.decode(out.value) for out in outputs if out.value is not None)
    return any(
        isinstance(batch, PartialBatch) and bool(((batch.cells.flags & FLAG_SLO) == 0).any()) for batch in batches
    )


def hasty(right: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A checkpoint in the wrong order, for one stage; `right` for the others."""

    async def checkpoint(self: Stage[Any], last: bool = False) -> None:
        if self.name != HASTY:
            await right(self, last)
            return
        now, outputs = self._clock(), list[Outgoing]()
        for partition, held in list(self.held.items()):
            held.step.tick(int(now * 1000), self.behind(partition) == 0)
            outputs += held.step.drain()
            await self._write(partition, held, *self._snapshot(held, now))
            held.step.settled()
            self._acknowledge(held.unsaved)
            held.unsaved = []
        self._unsaved = Unsaved()
        if closes(outputs):
            os.kill(os.getpid(), signal.SIGKILL)
        sent = Sent()
        self._producer.send(outputs, sent)
        await self._producer.settled(sent)
        async with self._saved:
            self._saved.notify_all()

    return checkpoint


if __name__ == "__main__":
    Stage.checkpoint = hasty(Stage.checkpoint)  # type: ignore[method-assign,assignment]  # on purpose
    sys.exit(main(["worker"]))
