"""Problems: what is wrong in one configuration file, gathered while it is read.

What: `Mark` is a place, `Sheet` collects all problems of a file. Why: a person mends ten mistakes in one go when the
checker names ten. It refuses more than a bound of them: who sees a hundred mends the first.
"""

from __future__ import annotations

import dataclasses

from alerts import limits
from schemas.problem import Problem


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


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
