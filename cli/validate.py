"""`tocsin validate`: OpenSLO, channels and routes files, with every mistake at its place.

What: file:line:col, the line itself with a caret, and what would mend it. A file that begins `channels:` is a channels
file, one with `receivers:` a routes file; everything else is OpenSLO. Why: the loader of the platform itself judges, so
what passes here starts there. It refuses to read secrets: a channels file is checked without its environment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from alerts.config import load, read_texts
from alerts.route import parse_routes
from cli import output
from cli.output import OK, PROBLEM, USAGE, Stop
from schemas.problem import Problem
from sinks.channels import parse_channels

CHANNELS = re.compile(r"^channels\s*:", re.MULTILINE)
ROUTES = re.compile(r"^receivers\s*:", re.MULTILINE)


def run(paths: Sequence[Path], *, json: bool) -> int:
    """Exit code: 1 when there is a mistake."""
    texts = gathered(paths)
    problems, summary = judged(texts)
    if json:
        rows = [{"file": p.file, "line": p.line, "column": p.column, "what": p.what, "hint": p.hint} for p in problems]
        output.as_json({"problems": rows, **summary}, indent=2)
        return PROBLEM if problems else OK
    for problem in problems:
        show(problem, texts.get(problem.file, ""))
    if problems:
        files = len({problem.file for problem in problems})
        output.note(f"{len(problems)} problem{'s' * (len(problems) > 1)} in {files} file{'s' * (files > 1)}")
        return PROBLEM
    output.say("; ".join(f"{name}: {value}" for name, value in summary.items()))
    return OK


def gathered(paths: Sequence[Path]) -> dict[str, str]:
    """The text of each file, and of each YAML file under each directory. Raises Stop."""
    texts: dict[str, str] = {}
    for path in paths:
        if not path.exists():
            raise Stop(USAGE, "there is no such file or directory", str(path), "check the path")
        try:
            found = read_texts(path)
        except OSError as error:
            raise Stop(USAGE, f"cannot be read: {error.strerror}", str(path), "check its permissions") from error
        if not found:
            raise Stop(
                USAGE, "there is no .yaml or .yml file", str(path), "name a file, or a directory that holds some"
            )
        texts |= found
    return texts


def judged(texts: Mapping[str, str]) -> tuple[list[Problem], dict[str, object]]:
    """All problems of all files, and what a good set holds."""
    problems: list[Problem] = []
    summary: dict[str, object] = {"files": len(texts)}
    channel_files = {file: text for file, text in texts.items() if CHANNELS.search(text)}
    route_files = {file: text for file, text in texts.items() if file not in channel_files and ROUTES.search(text)}
    slo_files = {file: text for file, text in texts.items() if file not in channel_files and file not in route_files}
    known: list[str] = []
    for file, text in channel_files.items():
        channels, wrong = parse_channels(text, file, None)
        problems += wrong
        known += list(channels.by_name) if channels else []
    for file, text in route_files.items():
        problems += parse_routes(text, file, known)[1]
    if slo_files:
        config, mistakes = load(slo_files)
        problems += mistakes
        if config is not None:
            summary |= {"SLOs": len(config.slos), "configuration": config.hash}
    if known:
        summary["channels"] = len(known)
    return problems, summary


def show(problem: Problem, text: str) -> None:
    """One problem: place and words, the line, a caret, the hint."""
    output.say(Text(f"{problem.file}:{problem.line}:{problem.column}: ", style="bold"), problem.what)
    lines = text.split("\n")
    if 1 <= problem.line <= len(lines) and lines[problem.line - 1].strip():
        source = output.clean(lines[problem.line - 1].rstrip("\r").replace("\t", " "))
        number = f"{problem.line:5} | "
        output.say(Text(number, style="dim"), source)
        output.say(
            Text(" " * (len(number) - 2) + "| ", style="dim"), " " * (problem.column - 1), Text("^", style="bold red")
        )
    if problem.hint:
        output.say(Text("        to do: ", style="dim"), problem.hint)
