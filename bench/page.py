"""Page: docs/benchmarks.md and its pictures, written from bench/results and from nothing else.

What: the table of engines side by side, every figure with its spread and conditions, the machine and the versions, and
one picture a comparison. Why generated: a page that is written by hand is wrong after the next run; a test holds it
against the JSON. It refuses to show a comparison that was not measured: its picture is left out.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping

from bench.plot import Bar, bars, written
from bench.results import RESULTS

DOCS = RESULTS.parent.parent / "docs"
PAGE, PICTURES = DOCS / "benchmarks.md", DOCS / "benchmarks"

ENGINES: Mapping[str, str] = {
    "tocsin": "Tocsin",
    "kstreams": "Kafka Streams (Java)",
    "flink": "Flink (Java)",
    "consumer": "plain consumer, no work",
    "quix": "Quix Streams",
    "bytewax": "Bytewax",
    "faust": "stock Faust",
}
SAME = 0.01  # two ratios that differ by less are one
Figures = Mapping[str, object]
Row = Mapping[str, object]

INTRODUCTION = """# Benchmarks

What Tocsin does on one machine, beside what others do there on the same topic. Written by `python -m bench.figures` out of
`bench/results/latest.json`; a test holds this page against it. The code: [bench](rooms/bench.md).

```sh
make bench        # everything: about fifty minutes
make bench-quick  # most of it, one run each, at most five minutes
make peers        # the peers' own environment; `make bench` makes it by itself
```

## How it is measured

One embedded broker, the engine under test and the measuring process share the machine. Single events in Avro, 1,000
series of three labels, 10 s windows of event time: count, sum, lowest, highest, good of total, exponential histogram; state
that survives a kill; results to a topic. Runs are interleaved; the figure is the median, the spread is lowest to highest.
Start-up does not count. A time counts only when the results are right: ours against everything that was published, a
peer's results window by window in every field. The record's key is the series, so that peers who group by key need no
repartition topic. Tocsin does more than the peers in that time: it also judges an SLO for each of a hundred routes and
merges over partitions.

Nothing is killed while rates are measured. Quix commits and Bytewax snapshots every 5 s, Kafka Streams commits and Flink
makes a checkpoint each second; Faust writes its changelog as events come; Tocsin snapshots as it does by default. Flink runs
on its embedded cluster, out of Maven packages (its distribution is none), on the Java that the embedded broker brings.

`kill_to_rollup_*` are times from kill -9 of one of two processes to the first new window of its partitions; `kill_cost_*` the
share of all measurements that windows lack or hold twice after that kill. With nothing in the name but the engine's, its session
timeout is its own default; `equal` has ours.
"""


@dataclasses.dataclass(frozen=True)
class Picture:
    """One comparison: figures of one unit, in order."""

    name: str
    title: str
    figures: Mapping[str, str]  # figure -> label


PICTURES_OF = (
    Picture(
        "single-events",
        "Single Avro events, one worker: events a second",
        {f"single_events_per_s_{name}": label for name, label in ENGINES.items()},
    ),
    Picture(
        "cpu",
        "Processor time for one event, process tree",
        {f"single_cpu_us_{name}": label for name, label in ENGINES.items()},
    ),
    Picture(
        "memory",
        "Highest resident memory, process tree",
        {f"single_peak_rss_mb_{name}": label for name, label in ENGINES.items()},
    ),
    Picture(
        "recovery",
        "From kill -9 to the first new window, 100,000 series",
        {
            "kill_to_rollup_beside_s": ENGINES["tocsin"],
            "kill_to_rollup_kstreams_equal_s": "Kafka Streams, session timeout as ours",
            "kill_to_rollup_faust_equal_s": "stock Faust, session timeout as ours",
            "kill_to_rollup_kstreams_s": "Kafka Streams, its defaults",
            "kill_to_rollup_faust_s": "stock Faust, its defaults",
        },
    ),
    Picture(
        "ratios",
        "Throughput against the plain load (1 is no loss)",
        {
            "out_of_order_ratio": "10 % out of order",
            "hot_key_ratio": "half of one series",
            "series_growth_ratio": "100,000 series",
            "series_1m_ratio": "1,000,000 series",
            "two_workers_ratio": "two workers",
        },
    ),
)


def number(row: Row, key: str) -> float:
    """A number of a figure."""
    found = row[key]
    if not isinstance(found, int | float):
        raise TypeError(f"{key} is {found!r}")
    return float(found)


def rows(figures: Figures) -> dict[str, Row]:
    """The figures alone, by name."""
    return {name: row for name, row in sorted(figures.items()) if isinstance(row, dict) and "value" in row}


def picture(which: Picture, figures: Figures) -> str:
    """Its SVG; empty where fewer than two of its figures were measured."""
    known = rows(figures)
    found = [
        Bar(label, number(row, "value"), number(row, "min"), number(row, "max"), ours=label == ENGINES["tocsin"])
        for name, label in which.figures.items()
        if (row := known.get(name)) is not None
    ]
    unit = next((str(known[name]["unit"]) for name in which.figures if name in known), "")
    return bars(which.title, "ratio" if unit == "x" else unit, found) if len(found) > 1 else ""


def pictures(figures: Figures) -> dict[str, str]:
    """File name to SVG."""
    drawn = {f"{which.name}.svg": picture(which, figures) for which in PICTURES_OF}
    return {name: text for name, text in drawn.items() if text}


def engines(figures: Figures) -> list[str]:
    """Side by side."""
    known = rows(figures)
    lines = [
        "| engine | events/s | processor time an event | resident, at most | Tocsin is ahead by |",
        "|---|---|---|---|---|",
    ]
    for name, label in ENGINES.items():
        if f"single_events_per_s_{name}" in known:
            cells = [
                f"{written(number(known[figure], 'value'))} {unit}".strip() if figure in known else "-"
                for figure, unit in (
                    (f"single_events_per_s_{name}", ""),
                    (f"single_cpu_us_{name}", "us"),
                    (f"single_peak_rss_mb_{name}", "MB"),
                    (f"single_vs_{name}_ratio", "x"),
                )
            ]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    return [*lines, *apart(known)]


def apart(known: Mapping[str, Row]) -> list[str]:
    """Where the last column is not the quotient of two others, as its rates are of another part of the benchmark."""
    ours = known.get("single_events_per_s_tocsin")
    told = []
    for name, label in ENGINES.items():
        theirs, ahead = known.get(f"single_events_per_s_{name}"), known.get(f"single_vs_{name}_ratio")
        if ours is None or theirs is None or ahead is None:
            continue
        quotient, ratio = number(ours, "value") / number(theirs, "value"), number(ahead, "value")
        if abs(quotient / ratio - 1) > SAME:
            told.append(f"{label} {written(ratio)} x beside it, {written(quotient)} x by the columns")
    if not told:
        return []
    return [
        "",
        "The last column is the median of the quotients of runs that took turns, with Tocsin measured anew beside the peer; the",
        "rates are of different parts of the benchmark, and their quotient is another one: " + "; ".join(told) + ".",
    ]


def every(figures: Figures) -> list[str]:
    """All figures with what one has to know to read them."""
    lines = [
        "| figure | median | lowest to highest | runs | goal | form, day | what |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows(figures).items():
        goal = f"{row['goal']} {'reached' if row['reached'] else '**missed**'}" if row["goal"] else ""
        spread = f"{written(number(row, 'min'))} to {written(number(row, 'max'))}"
        middle = f"{written(number(row, 'value'))} {row['unit']}"
        when = f"{row['mode']}, {row['measured']}"
        lines.append(f"| `{name}` | {middle} | {spread} | {row['runs']} | {goal} | {when} | {row['baseline']} |")
    return lines


def machine(figures: Figures) -> list[str]:
    """What it ran on, and in which versions."""
    facts = figures.get("machine")
    lines = ["| | |", "|---|---|"]
    for name, value in sorted(facts.items()) if isinstance(facts, dict) else ():
        told = ", ".join(f"{key} {part}" for key, part in sorted(value.items())) if isinstance(value, dict) else value
        lines.append(f"| {name.replace('_', ' ')} | {told} |")
    return lines


def page(figures: Figures) -> str:
    """The whole page."""
    titles = {f"{which.name}.svg": which.title for which in PICTURES_OF}
    shown = [f"![{titles[name]}](benchmarks/{name})\n" for name in pictures(figures)]
    parts = [
        INTRODUCTION,
        "## Side by side\n",
        *engines(figures),
        "",
        *shown,
        "## Every figure\n",
        *every(figures),
        "\n## Machine and versions\n",
        *machine(figures),
    ]
    return "\n".join(parts) + "\n"


def write(figures: Figures, to: pathlib.Path = PAGE, drawn: pathlib.Path = PICTURES) -> None:
    """Page and pictures, and no picture that is no longer of the page."""
    drawn.mkdir(exist_ok=True)
    fresh = pictures(figures)
    for old in drawn.glob("*.svg"):
        if old.name not in fresh:
            old.unlink()
    for name, text in fresh.items():
        (drawn / name).write_text(text, encoding="utf-8")
    to.write_text(page(figures), encoding="utf-8")
