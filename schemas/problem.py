"""Problem: one mistake in a configuration file, with its place.

What: file, line and column, what is wrong and what would mend it; and the nearest known word. Why: whoever checks files of several
kinds tells all mistakes in one form. It refuses to raise: a bad file is an answer, not an accident.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable

_WORDS = 12  # that a hint lists


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake. Line and column count from 1; `hint` may be empty."""

    file: str
    line: int
    column: int
    what: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.file}:{self.line}:{self.column}: {self.what}"
        return f"{text} ({self.hint})" if self.hint else text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists the known ones."""
    words = sorted(set(known))
    folded = {name.casefold(): name for name in words}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    return f"known: {', '.join(words[:_WORDS])}" if words else ""
