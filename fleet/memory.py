"""Memory: what is remembered of each vehicle, so that what comes twice counts once.

What: for each vehicle when it was first met, how many of its records came, which of them are known again, the newest value of
its signals; names that may be labels. All of it is a function of the records before. Why: vehicles send again what was not
acknowledged, and a crash makes us read again. It refuses to grow: see `fleet.limits`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable

from fleet import limits
from fleet.limits import OTHER

#: A value of a signal as it is kept: what a number, a state or flags look like in JSON.
Kept = float | str


class Seen:
    """Marks of the last records of a vehicle, and a bit for each item of them."""

    def __init__(self, marks: dict[int, int] | None = None) -> None:
        self.marks = marks or {}

    def together(self, marks: Iterable[int], most: int) -> frozenset[int]:
        """Of the marks of one record those that can be remembered at once; those that are known come first, and will be the
        last to be forgotten."""
        different = dict.fromkeys(marks)
        known = [mark for mark in different if mark in self.marks]
        for mark in known:
            self.marks[mark] = self.marks.pop(mark)
        return frozenset([*known, *(mark for mark in different if mark not in self.marks)][:most])

    def first(self, mark: int, item: int, *, again: bool = False, most: int = limits.SEEN) -> bool:
        """Whether the item of that mark is new; it is known from now on. `again`: its sender says that it sent it before;
        then what is older than all that is remembered is not new. `most`: so many marks are remembered."""
        bits = self.marks.get(mark)
        if bits is None:
            if again and len(self.marks) >= most and mark < min(self.marks):
                return False
            while len(self.marks) >= most:
                del self.marks[next(iter(self.marks))]  # the one that came first
            self.marks[mark] = 1 << item
            return True
        if bits >> item & 1:
            return False
        self.marks[mark] = bits | 1 << item
        return True


@dataclasses.dataclass(slots=True)
class Vehicle:
    """One vehicle, in one partition of one topic."""

    born: int  # offset of the record that it was met with: its boot
    records: int = 0  # that came since: the next one's sequence
    last: int = 0  # offset of the last one
    seen: Seen = dataclasses.field(default_factory=Seen)
    newest: dict[int, tuple[int, Kept]] = dataclasses.field(default_factory=dict)  # signal -> (event time, value)
    about: dict[int, tuple[int, str]] = dataclasses.field(default_factory=dict)  # followed signal -> (event time, text)
    connection: str = ""  # the newest connection, when it began, and whether it is open
    since_ms: int = 0
    open: bool = False


class Vehicles:
    """Those of a partition. Of more than there may be, the eighth that was silent for longest is forgotten."""

    def __init__(self, most: int = limits.VEHICLES) -> None:
        self.by_source: dict[str, Vehicle] = {}
        self.forgotten = 0
        self._most = most

    def met(self, source: str, offset: int) -> Vehicle:
        """The vehicle of a record; a new one when it is not known (any more)."""
        found = self.by_source.get(source)
        if found is None:
            if len(self.by_source) >= self._most:
                self._forget()
            found = self.by_source[source] = Vehicle(offset)
        return found

    def _forget(self) -> None:
        by_age = sorted(self.by_source, key=lambda source: self.by_source[source].last)
        for source in by_age[: len(by_age) // 8 + 1]:
            del self.by_source[source]
            self.forgotten += 1


class Known:
    """Texts that may be labels: the first so many of them; the rest is OTHER."""

    def __init__(self, most: int = limits.NAMES) -> None:
        self.texts: dict[Hashable, set[str]] = {}
        self._most = most

    def admitted(self, of: str, text: str) -> str:
        """The text, as a value of the label `of`."""
        text = text[: limits.TEXT_CHARS]
        there = self.texts.setdefault(of, set())
        if text in there:
            return text
        if len(there) >= self._most or not text:
            return OTHER
        there.add(text)
        return text
