"""Run: `make demo`, the live screen over a running scene, until Ctrl-C.

What: starts the scene, reads the platform's topics into the board, draws. Why: what the project does should be seen
before it is read. It refuses to leave anything behind but the broker's files: a second start goes on where the first
ended.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live

from demo import verify
from demo.audit import TopicReader
from demo.scene import CLEAR, Plan, Scene, scene
from demo.view import TOPICS, Board, screen
from schemas import codec
from schemas.corrupt import CorruptRecord

PACE = 2.0  # the story at leisure
DRAWS_A_SECOND = 4


def captions(found: Scene, now_ms: int) -> list[str]:
    """What the story is doing, will do next, and did."""
    lines = []
    for fault in found.story.faults:
        begins, ends = (fault.start_ms - now_ms) / 1000, (fault.end_ms - now_ms) / 1000
        if fault.deliver_ms:
            begins, ends = (fault.deliver_ms - now_ms) / 1000, (fault.deliver_ms - now_ms) / 1000
        if not fault.title:
            continue
        if begins > 0:
            lines.append(f"in {begins:3.0f} s   {fault.title}")
        elif ends > 0:
            lines.append(f"now        {fault.title}, for {-begins:.0f} s already")
        else:
            lines.append(f"{-ends:3.0f} s ago  {fault.title}: over")
    return lines


def draw(found: Scene, console: Console, seconds: float) -> None:
    """Read and draw until so many seconds have passed or the user interrupts."""
    board = Board()
    reader = TopicReader(found.bootstrap, list(TOPICS), from_beginning=True)
    until = time.monotonic() + seconds
    unread = 0
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
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
                live.update(screen(board, now_ms, captions(found, now_ms)), refresh=True)
    finally:
        reader.close()


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
            draw(found, console, chosen.seconds)
    except KeyboardInterrupt:
        console.print("stopped")
    except CLEAR as error:
        console.print(str(error), style="red", markup=False)
        return 1
    return 0
