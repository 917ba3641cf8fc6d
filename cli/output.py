"""Output: what goes to stdout, what goes to stderr, and with which code a command ends.

What: data as lines, tables or JSON to stdout; progress and errors to stderr; four exit codes. Why: a person reads a
screen, a script reads a pipe, and neither should get the other's. Colour only on a terminal, and not with NO_COLOR.
It refuses to let text out of a record steer the terminal: what does not print is replaced.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

OK, PROBLEM, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

COLOURS: Mapping[str, str] = {
    "healthy": "green",
    "burning": "bold red",
    "exhausted": "bold red",
    "unmeasured": "yellow",
    "page": "bold red",
    "ticket": "yellow",
    "firing": "bold red",
    "open": "bold red",
    "acknowledged": "yellow",
    "resolved": "green",
    "delivered": "green",
    "failed": "bold red",
    "abandoned": "red",
    "pending": "yellow",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
}

Cell = str | Text


class Stop(Exception):
    """A command cannot go on: what went wrong, where, and what to do about it."""

    def __init__(self, code: int, what: str, where: str = "", do: str = "") -> None:
        super().__init__(what)
        self.code, self.what, self.where, self.do = code, what, where, do


def clean(text: str) -> str:
    """One line without characters that steer a terminal or turn writing around."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def coloured(word: str) -> Text:
    """A word of ours in its colour."""
    return Text(word, style=COLOURS.get(word, ""))


def _console(stream: str) -> Console:
    return Console(file=getattr(sys, stream), highlight=False, markup=False, soft_wrap=True, emoji=False)


def say(*parts: Cell) -> None:
    """One line of data."""
    line = Text()
    for part in parts:
        line.append_text(part if isinstance(part, Text) else Text(clean(part)))
    _console("stdout").print(line)


def note(text: str) -> None:
    """One line of progress or explanation, to stderr."""
    _console("stderr").print(Text(clean(text), style="dim"))


def as_json(value: object, *, indent: int | None = None) -> None:
    """One JSON document; without `indent` on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=indent, default=str) + "\n")
    sys.stdout.flush()


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Columns as wide as their widest cell; numbers keep the side that their text gives them."""
    full = [[cell if isinstance(cell, Text) else Text(clean(cell)) for cell in row] for row in rows]
    widths = [max([len(head), *(row[at].cell_len for row in full)]) for at, head in enumerate(heads)]
    out = _console("stdout")
    out.print(
        Text("  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip(), style="dim")
    )
    for row in full:
        line = Text("  ").join(_padded(cell, width) for cell, width in zip(row, widths, strict=True))
        line.rstrip()
        out.print(line)


def _padded(cell: Text, width: int) -> Text:
    return cell + Text(" " * (width - cell.cell_len))


def ended(work: Callable[[], int]) -> int:
    """Run a command's work; its exit code, or that of the failure that it met, which is then on stderr."""
    try:
        return work()
    except Stop as stop:
        complain(stop)
        return stop.code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as in `tocsin tail ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def complain(stop: Stop) -> None:
    """What, where, what to do; on stderr."""
    err = _console("stderr")
    err.print(Text("error: ", style="bold red") + Text(clean(stop.what)))
    for name, text in (("where", stop.where), ("to do", stop.do)):
        for number, line in enumerate(text.splitlines()):
            err.print(Text(f"  {name if not number else '':5} ", style="dim") + Text(clean(line)))


def time_text(at_ms: int) -> str:
    """UTC to the millisecond; a dash for no time."""
    if not 0 < at_ms < 253_402_300_800_000:
        return "-"
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{at_ms % 1000:03d} UTC"


def age_text(ms: int) -> str:
    """How long, as people say it: 3.2 s, 5 min, 2.5 h, 3 d."""
    seconds = ms / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size * 1.5:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.1f} s"


def span_text(ms: int) -> str:
    """A window's length: 10s, 5m, 6h, 3d."""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m")):
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms / 1000:g}s"


def labels_text(labels: Mapping[str, str]) -> str:
    """{a=b, c=d}; empty for none."""
    return "{" + ", ".join(f"{key}={value}" for key, value in sorted(labels.items())) + "}" if labels else ""
