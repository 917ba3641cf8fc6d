"""Report: what each row cost, as JSON, as a table, and as an exit code.

What: `Result` of a row, `Report` of a run, written to bench/results/chaos.json. Why: the promise is a number. It refuses
to pass a run in which a control was not seen, or a row was not done.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from proof.controls import Control

HEAD = (
    "row",
    "what",
    "faults",
    "events",
    "lost",
    "doubled",
    "missed",
    "false",
    "twice",
    "recovery p50/max s",
    "page max s",
)
MARKS = "<!-- {0}: begin -->", "<!-- {0}: end -->"


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share lies, by nearest rank; None without values."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """A row. `wrong`: anything else that must not be, in words; times in s."""

    row: str
    name: str
    seed: int
    begun_ms: int
    faults: int
    events: int
    lost: int
    doubled: int
    missed: int
    false_pages: int
    repeated_pages: int
    recovered_s: Sequence[float]
    pages_s: Sequence[float]
    wrong: Sequence[str] = ()

    @property
    def good(self) -> bool:
        """Whether the promise held."""
        return not (self.lost or self.doubled or self.missed or self.false_pages or self.repeated_pages or self.wrong)

    def json(self) -> dict[str, object]:
        """With quantiles in the place of values."""
        found = dataclasses.asdict(self)
        for name in ("recovered_s", "pages_s"):
            values = found.pop(name)
            found[name] = {f"p{int(share * 100)}": quantile(values, share) for share in (0.5, 0.95, 0.99)} | {
                "max": quantile(values, 1.0)
            }
        return found

    def cells(self) -> tuple[str, ...]:
        """As the table has it."""
        recovery = (
            "-" if not self.recovered_s else f"{quantile(self.recovered_s, 0.5)} / {quantile(self.recovered_s, 1.0)}"
        )
        page = quantile(self.pages_s, 1.0)
        return (
            self.row, self.name, str(self.faults), f"{self.events:,}", str(self.lost), str(self.doubled), str(self.missed),
            str(self.false_pages), str(self.repeated_pages), recovery, "-" if page is None else str(page),
        )  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A run."""

    seed: int
    long: bool
    seconds: float
    results: Sequence[Result]
    controls: Sequence[Control]
    checks: dict[str, object]  # of the whole run: the foreign reader, revisions, the journal
    wrong: Sequence[str]
    not_done: dict[str, str]

    @property
    def good(self) -> bool:
        """Whether everything held, and every control was seen."""
        return not self.wrong and all(one.good for one in self.results) and all(one.passed for one in self.controls)

    def write(self, path: Path) -> None:
        """As JSON."""
        facts = dataclasses.asdict(self) | {
            "good": self.good,
            "results": [one.json() for one in self.results],
            "controls": [dataclasses.asdict(one) | {"seen": one.seen} for one in self.controls],
        }
        path.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    def into(self, page: Path, name: str = "chaos") -> None:
        """Put the tables between the page's marks of that name; under "controls", those alone."""
        begin, end = (mark.format(name) for mark in MARKS)
        head, _, rest = page.read_text(encoding="utf-8").partition(begin)
        _, _, tail = rest.partition(end)
        form = "controls alone" if name == "controls" else "long form" if self.long else "short form"
        said = f"Seed {self.seed}, {form}, {self.seconds:.0f} s."
        tables = self.controls_table() if name == "controls" else self.table()
        page.write_text(f"{head}{begin}\n{said}\n\n{tables}\n{end}{tail}", encoding="utf-8")

    def table(self) -> str:
        """For people, and for docs/reliability.md."""
        lines = [HEAD, ("---",) * len(HEAD), *(one.cells() for one in self.results)]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{text}\n\n{self.controls_table()}"

    def controls_table(self) -> str:
        """Wrongs on purpose, and what the oracle said of each."""
        return "\n".join(["| control | lost | doubled | |", "|---|---|---|---|", *(one.row for one in self.controls)])
