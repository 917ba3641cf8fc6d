"""Problems: what is wrong in a configuration file, as values with a place.

What: `Problem` names file, line and column; `Sheet` collects all of one file. Why: a person mends ten mistakes
in one go when the checker names ten. It refuses to raise: a bad file is an answer, not an accident.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable

from alerts import limits


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake: where it is, what is wrong, and what would mend it (`hint`, may be empty)."""

    file: str
    line: int
    column: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.what}"
        return f"{text} ({self.hint})" if self.hint else text


class Sheet:
    """The problems of one file, in the order of their places, at most PROBLEMS_MAX."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._problems: list[Problem] = []

    def wrong(self, mark: Mark, what: str, hint: str = "") -> None:
        """Note one problem."""
        if len(self._problems) < limits.PROBLEMS_MAX:
            self._problems.append(Problem(self.file, mark.line, mark.column, what, hint))

    @property
    def problems(self) -> list[Problem]:
        """All problems so far, sorted by place."""
        return sorted(self._problems)

    def __len__(self) -> int:
        return len(self._problems)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists the known ones."""
    words = sorted(set(known))
    folded = {name.casefold(): name for name in words}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    return f"known: {', '.join(words[:12])}" if words else ""
