"""Tally: how many keys have each count, over all partitions: the driver's `tagg`.

What: each partition's newest word, by the offset that it is true as of, added up; a count that no key has any more is told
as 0. Why each word gives its changes at once: one that came and went between two drains may have been told by somebody who
was killed since, and must be taken back. It refuses an older word after a newer one: that is how a replay looks.
"""

from __future__ import annotations

import json

from streams.producer import Outgoing
from streams.records import Records
from tests.foreign.smoke.job import LONG


class TallyStep:
    """See `streams.step.Step`."""

    urgent = False
    wants_snapshot = False

    def __init__(self, partition: int) -> None:
        self.partition, self.fence = partition, -1
        self._words: dict[str, tuple[int, dict[int, int]]] = {}  # partition -> (as of, keys by count)
        self._told: dict[int, int] = {}
        self._out: list[Outgoing] = []

    def apply(self, records: Records) -> None:
        for record in records.after(self.fence):
            word, source = json.loads(record.value), record.key.decode()
            if word["as_of"] >= self._words.get(source, (-1, {}))[0]:
                self._words[source] = (word["as_of"], dict(word["counts"]))
                self._out += self._changes()
        self.fence = max(self.fence, int(records.offset[-1]))

    def _changes(self) -> list[Outgoing]:
        now: dict[int, int] = {}
        for _, counts in self._words.values():
            for count, keys in counts.items():
                now[count] = now.get(count, 0) + keys
        gone = {count: 0 for count, keys in self._told.items() if keys and count not in now}
        changed = {count: keys for count, keys in now.items() if self._told.get(count) != keys}
        self._told = now
        told = {**gone, **changed}
        return [Outgoing("tagg", b"%d" % count, LONG.pack(keys), self.partition) for count, keys in told.items()]

    def tick(self, now_ms: int, caught_up: bool) -> None:
        """Time plays no part."""

    def drain(self) -> list[Outgoing]:
        """What changed, word by word."""
        out, self._out = self._out, []
        return out

    def settled(self) -> None:
        """Nothing waits for it."""

    def snapshot(self) -> bytes:
        words = {source: [as_of, list(counts.items())] for source, (as_of, counts) in self._words.items()}
        return json.dumps({"fence": self.fence, "words": words, "told": list(self._told.items())}).encode()

    def restore(self, data: bytes) -> None:
        state = json.loads(data)
        self.fence, self._told = state["fence"], dict(state["told"])
        self._words = {source: (as_of, dict(counts)) for source, (as_of, counts) in state["words"].items()}

    def close(self) -> None:
        """Nothing to let go of."""
