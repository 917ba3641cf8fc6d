"""Series: the client's numbering of series, with its limit and the visible overflow.

What: definition -> small number, given out once; past the limit, the number of the metric's overflow series. Why: rows
hold a number instead of labels, and one runaway label must not grow the host's memory. It refuses to forget: a number
stays valid for the client's life, so that a bound instrument does as well.
"""

from __future__ import annotations

from threading import RLock

from tocsin import names
from tocsin.recorder import Tally


class SeriesTable:
    """Numbers of series, in the order of their first use. Thread-safe; `definitions[number]` needs no lock."""

    __slots__ = ("_lock", "_numbers", "definitions", "folded", "limit", "tallies")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.definitions: list[names.Definition] = []
        self.tallies: dict[int, Tally] = {}
        self.folded = 0
        self._numbers: dict[names.Definition, int] = {}
        self._lock = RLock()  # a signal or a finaliser may come back in

    def number(self, definition: names.Definition, own: bool = False) -> int:
        """The series' number; past the limit that of the overflow series of its metric, kind and unit.

        `own`: one of the client's own few, which tell what the limit does: it does not hold for them.
        """
        known = self._numbers.get(definition)
        if known is not None:
            return known
        with self._lock:
            if len(self.definitions) >= self.limit and not own:
                self.folded += 1
                definition = (*definition[:3], names.OVERFLOW_LABELS)
            known = self._numbers.get(definition)
            if known is None:
                known = len(self.definitions)
                self.definitions.append(definition)
                self._numbers[definition] = known
            return known

    def tally(self, number: int) -> Tally:
        """The running sum of a counter series: one a series, however often it was bound."""
        with self._lock:
            return self.tallies.setdefault(number, Tally(number))

    def after_fork(self) -> None:
        """A lock held by another thread at the fork would stay held in the child for ever."""
        self._lock = RLock()  # a signal or a finaliser may come back in
