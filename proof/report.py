"""Report: what each row cost, as JSON, as a table, and as an exit code.

What: `Result` of a row, `Report` of a run, kept in bench/results/chaos.json by form and seed. Why: the promise is a
number. It refuses to pass a run in which a control was not seen, a row was not done, or a whole long run was not long.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results import machine
from local.kafka import KAFKA_VERSION
from proof.controls import Control
from proof.faults import NOT_DONE

HEAD = (
    "row", "what", "faults", "events", "lost", "doubled", "late", "missed", "false", "twice", "recovery p50 / p95 / max s",
    "page p99 s",
)  # fmt: skip
FIGURES = ("lost", "doubled", "late", "missed", "false_pages", "repeated_pages")
NOT_MEASURED = "not measured"  # what an older run does not tell
LONG_LEAST = {"worker_kills": 300, "measurements": 3_000_000}  # of a whole run of the long form
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share lies, by nearest rank; None without values."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def quantiles(values: Sequence[float]) -> dict[str, float | None]:
    """Those that the report shows, by name."""
    return {name: quantile(values, share) for name, share in SHARES.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Result:
    """A row. `recovered_s`: of each kill and partition, from the kill until something sent after it came out; `pages_s`:
    of each page, from when it could be known. `late`: measurements that were found too late while it lasted. `wrong`:
    anything else that must not be, in words."""

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
    late: int = 0

    @property
    def good(self) -> bool:
        """Whether the promise held."""
        return not (self.lost or self.doubled or self.missed or self.false_pages or self.repeated_pages or self.wrong)

    def json(self) -> dict[str, object]:
        """With quantiles in the place of values."""
        found = dataclasses.asdict(self)
        return found | {name: quantiles(found[name]) for name in ("recovered_s", "pages_s")}

    def cells(self) -> tuple[str, ...]:
        """As the table has it."""
        return cells(self.json())


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A line of the table, from a row's JSON form."""
    back, page = row["recovered_s"], row["pages_s"]["p99"]
    recovery = "-" if back["max"] is None else f"{back['p50']} / {back['p95']} / {back['max']}"
    return (
        row["row"], row["name"], f"{row['faults']:,}", f"{row['events']:,}",
        *(f"{row[name]:,}" if name in row else NOT_MEASURED for name in FIGURES),
        recovery, "-" if page is None else str(page),
    )  # fmt: skip


def joined(results: Sequence[Result]) -> list[Result]:
    """One for each number of a row, in order of their first: what was played more than once, in sum."""
    found: dict[str, Result] = {}
    for one in results:
        before = found.get(one.row)
        if before is None:
            found[one.row] = one
            continue
        found[one.row] = dataclasses.replace(
            before, faults=before.faults + one.faults, events=before.events + one.events, lost=before.lost + one.lost,
            doubled=before.doubled + one.doubled, missed=before.missed + one.missed,
            false_pages=before.false_pages + one.false_pages, repeated_pages=before.repeated_pages + one.repeated_pages,
            recovered_s=[*before.recovered_s, *one.recovered_s], pages_s=[*before.pages_s, *one.pages_s],
            wrong=[*before.wrong, *one.wrong], late=before.late + one.late,
        )  # fmt: skip
    return list(found.values())


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """A run. `not_done`: rows that were not played, with the reason; `whole`: no rows were chosen, its form asks for all."""

    seed: int
    long: bool
    seconds: float
    results: Sequence[Result]
    controls: Sequence[Control]
    checks: dict[str, object]  # of the whole run: the foreign reader, revisions, the journal
    wrong: Sequence[str]
    not_done: dict[str, str]
    whole: bool = True

    @property
    def good(self) -> bool:
        """Whether everything was done, everything held, and every control was seen."""
        return not self.why()

    def undone(self) -> list[str]:
        """What the run should have done and did not, in words: nothing found in a run that tried nothing is no promise."""
        found = [] if self.results else ["no row was played"]
        found += [
            f"row {row} was not played: {reason}"
            for row, reason in sorted(self.not_done.items())
            if NOT_DONE.get(row) != reason
        ]
        for name, least in LONG_LEAST.items() if self.long and self.whole else ():
            done = self.checks.get(name, 0)
            if not isinstance(done, int) or done < least:
                found.append(f"{name}: {done}, where a whole long run has {least} at least")
        return found

    def why(self) -> list[str]:
        """What did not hold, in words."""
        rows = [f"row {one.row}: {list(one.wrong) or one.cells()}" for one in self.results if not one.good]
        unseen = [f"control not seen: {one.name}" for one in self.controls if not one.passed]
        return [*self.undone(), *self.wrong, *rows, *unseen]

    def json(self) -> dict[str, Any]:
        """The whole of it."""
        everything = joined([dataclasses.replace(one, row="all", name="all rows") for one in self.results])
        facts = {name: value for name, value in machine().items() if name != "peers"}
        return dataclasses.asdict(self) | {
            "good": self.good,
            "why": self.why(),
            "measured": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": facts | {"broker": f"Apache Kafka {KAFKA_VERSION}, three nodes, embedded"},
            "results": [one.json() for one in self.results],
            "all": everything[0].json() if everything else None,
            "controls": [dataclasses.asdict(one) | {"seen": one.seen, "said": one.said} for one in self.controls],
        }

    def write(self, path: Path, form: str = "") -> None:
        """Into the file, in the place of an older run of the same form and seed."""
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        of_form = known.setdefault(form or ("long" if self.long else "short"), {})
        of_form[str(self.seed)] = self.json()
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def table(self) -> str:
        """For people."""
        return table(self.json())


def table(run: Mapping[str, Any]) -> str:
    """Rows and controls of one run's JSON form."""
    rows = [*run["results"], *([run["all"]] if run["all"] else [])]
    lines = [HEAD, ("---",) * len(HEAD), *(cells(row) for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{text}\n\n{controls_table(run)}"


def controls_table(run: Mapping[str, Any]) -> str:
    """Wrongs on purpose, and what the oracle said of each."""
    rows = [f"| {one['name']} | {one['lost']:,} | {one['doubled']:,} | {one['said']} |" for one in run["controls"]]
    return "\n".join(["| control | lost | doubled | |", "|---|---|---|---|", *rows])
