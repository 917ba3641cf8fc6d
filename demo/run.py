"""Run: `make demo`, the live screen over a running scene, until Ctrl-C; lines where there is no terminal.

What: starts the scene, reads the platform's topics into the board, draws. Why: what the project does should be seen
before it is read. It refuses to leave anything behind but the broker's files: a second start goes on where the first
ended.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.live import Live

from demo import verify
from demo.audit import TopicReader
from demo.lines import Lines
from demo.scene import CLEAR, Plan, Scene, scene
from demo.story import Story
from demo.view import TOPICS, Board, screen
from schemas import codec
from schemas.corrupt import CorruptRecord

PACE = 2.0  # the story at leisure
DRAWS_A_SECOND = 4


class Phase(NamedTuple):
    """Where a fault of the story stands."""

    title: str
    word: str  # to come | now | over
    seconds: float  # until it begins, since it began, since it ended


def phases(story: Story, now_ms: int) -> list[Phase]:
    """Of each fault that has a title; what is only delivered later happens in the moment of its delivery."""
    found = []
    for fault in story.faults:
        start_ms, end_ms = (fault.deliver_ms,) * 2 if fault.deliver_ms else (fault.start_ms, fault.end_ms)
        if not fault.title:
            continue
        if now_ms < start_ms:
            found.append(Phase(fault.title, "to come", (start_ms - now_ms) / 1000))
        elif now_ms < end_ms:
            found.append(Phase(fault.title, "now", (now_ms - start_ms) / 1000))
        else:
            found.append(Phase(fault.title, "over", (now_ms - end_ms) / 1000))
    return found


def caption(phase: Phase) -> str:
    """As a line of the screen."""
    if phase.word == "to come":
        return f"in {phase.seconds:3.0f} s   {phase.title}"
    if phase.word == "now":
        return f"now        {phase.title}, for {phase.seconds:.0f} s already"
    return f"{phase.seconds:3.0f} s ago  {phase.title}: over"


def follow(found: Scene, board: Board, seconds: float) -> Iterator[int]:
    """Read the topics into the board until so many seconds have passed; the time (ms) after each look. Raises what ended it."""
    reader = TopicReader(found.bootstrap, list(TOPICS), from_beginning=True)
    until = time.monotonic() + seconds
    unread = 0
    try:
        while time.monotonic() < until:
            for _, _, _, value in reader.poll(2_000, 1 / DRAWS_A_SECOND):
                try:
                    board.apply(codec.decode(value))
                except CorruptRecord:
                    unread += 1
            found.workers.check()
            if found.player.failure is not None:
                raise found.player.failure
            now_ms = time.time_ns() // 1_000_000
            board.workers = found.workers.names
            board.count(now_ms, found.player.ledger.published)
            board.note = f"Ctrl-C stops everything that this started. Logs: {found.directory}" + (
                f"   {unread} records could not be read" if unread else ""
            )
            yield now_ms
    finally:
        reader.close()


def draw(found: Scene, console: Console, seconds: float) -> None:
    """The live screen."""
    board = Board()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for now_ms in follow(found, board, seconds):
            story = [caption(phase) for phase in phases(found.story, now_ms)]
            live.update(screen(board, now_ms, story), refresh=True)


def tell(found: Scene, console: Console, seconds: float) -> None:
    """The same as lines."""
    board, lines = Board(), Lines()
    for now_ms in follow(found, board, seconds):
        done = [(phase.title, phase.word) for phase in phases(found.story, now_ms)]
        for line in lines.new(board, now_ms, done):
            console.print(line, highlight=False, markup=False, soft_wrap=True)


def main(arguments: Sequence[str]) -> int:
    """Exit code of `tocsin demo`."""
    parser = argparse.ArgumentParser(prog="tocsin demo", description="A fleet, an incident and its page, live.")
    parser.add_argument("--verify", action="store_true", help="headless, bounded, judged; other options follow it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=40, help="web requests a second")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end by itself after so many seconds")
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.verify:
        return verify.main([argument for argument in arguments if argument != "--verify"])
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    console = Console()
    plan = Plan(seed=chosen.seed, workers=chosen.workers, web_rate=chosen.rate, pace=PACE)
    try:
        with scene(plan, lambda text: console.print(f"[dim]·[/] {text}", highlight=False)) as found:
            (draw if console.is_terminal else tell)(found, console, chosen.seconds)
    except KeyboardInterrupt:
        console.print("stopped")
    except CLEAR as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0
