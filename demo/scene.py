"""Scene: everything that a run of the demo starts, and the order in which it ends.

What: broker, topics, the pager and the webhook that stand in for people, workers, sources. Why: whatever happens, what
was started is stopped, last first, and nothing else. It refuses to pretend: the broker and the workers are the real
ones; only the far ends of the channels are stand-ins.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tocsin.kafka import KafkaTransport

from demo.audit import TopicReader
from demo.pager import Pager, stand_ins
from demo.play import Player
from demo.story import Story, script
from demo.workers import ROOT, WorkerEnded, Workers
from local.choice import broker, home_dir
from local.directory import made
from local.errors import LocalError
from streams import settings, topics

Progress = Callable[[str], None]

READY_S = 60.0
#: web, desktop, vehicle, other. Vehicles get 15 s instead of five minutes, so that windows close, and silence shows,
#: within the story; what the delayed ones bring is then late, and corrects windows that were final.
LATENESS_MS = "5000,5000,15000,30000"
PUBLISHED = "published_ms"
EXAMPLES = Path("examples") / "slos"
SLOS = (
    ROOT / EXAMPLES if (ROOT / EXAMPLES).is_dir() else EXAMPLES.absolute()
)  # a wheel has none: the image's folder has


class NotReady(RuntimeError):
    """The workers did not begin to aggregate in time"""

    def __init__(self, logs: Path) -> None:
        super().__init__(f"{self.__doc__} ({READY_S:.0f} s); their logs are in {logs}")


#: Errors that explain themselves: no traceback is needed.
CLEAR = (LocalError, topics.TopicsUnavailable, WorkerEnded, NotReady)


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What to run. Times in seconds."""

    seed: int = 1
    workers: int = 2
    partitions: int = 4
    history_s: int = 3_600
    lead_s: int = 15  # between the start and the moment at which the story begins: for history to be published
    web_rate: int = 40
    pace: float = 1.0  # of the story
    fresh: bool = False  # on an empty broker of its own, removed afterwards


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """A running demo. `live_ms`: the moment at which history ends and the story begins."""

    bootstrap: str
    live_ms: int
    story: Story
    player: Player
    pager: Pager
    workers: Workers
    directory: Path


@contextlib.contextmanager
def scene(plan: Plan, progress: Progress) -> Iterator[Scene]:
    """Start everything, in order; stop it again, last first."""
    with contextlib.ExitStack() as stack:
        directory = _directory(plan)
        running = stack.enter_context(broker(progress, directory / "kafka"))
        progress(f"Kafka at {running.bootstrap} ({running.kind}{', was running' if running.reused else ''})")
        made = topics.ensure(running.bootstrap, plan.partitions, settings.load().replication)
        progress(f"topics: {len(made)} made, {len(topics.TOPICS) - len(made)} there")
        pager = stack.enter_context(stand_ins(directory))
        heartbeats = TopicReader(running.bootstrap, [topics.PARTIALS])
        stack.callback(heartbeats.close)
        workers = Workers(_environment(plan, running.bootstrap, pager), directory)
        stack.callback(workers.stop)
        live_ms = time.time_ns() // 1_000_000 + plan.lead_s * 1000
        story = script(live_ms, plan.seed, plan.pace)
        transport = KafkaTransport(running.bootstrap, topics.TELEMETRY)
        garbage_ms = live_ms + round(20_000 * plan.pace)
        player = Player(story, transport, web_rate=plan.web_rate, garbage_ms=garbage_ms)
        stack.callback(lambda: remember(directory, player.published_ms))
        stack.callback(player.stop)
        player.backfill(history_start(directory, live_ms, plan.history_s), progress)
        for number in range(
            plan.workers
        ):  # after the history: to a partition that is idle now, an hour ago is too late
            workers.start(f"worker-{number + 1}")
        player.start()
        _await(heartbeats, workers, directory)
        progress(f"{plan.workers} workers aggregate; the story begins")
        yield Scene(running.bootstrap, live_ms, story, player, pager, workers, directory)


def history_start(directory: Path, live_ms: int, history_s: int) -> int:
    """Where history begins, ms since epoch: so long ago, or where the run before in this directory stopped."""
    with contextlib.suppress(OSError, ValueError):
        return max(live_ms - history_s * 1000, int((directory / PUBLISHED).read_text("utf-8")))
    return live_ms - history_s * 1000


def remember(directory: Path, published_ms: int) -> None:
    """For the next run in this directory: event time up to which telemetry was published. It must not publish it again."""
    if published_ms and directory.exists():
        (directory / PUBLISHED).write_text(str(published_ms), encoding="utf-8")


def _directory(plan: Plan) -> Path:
    """Where this run keeps its files. A fresh one begins empty: left-overs of an earlier run are other runs' truth."""
    return made(home_dir() / (f"verify-{time.time_ns() // 1_000_000}" if plan.fresh else "demo"))


def _environment(plan: Plan, bootstrap: str, pager: Pager) -> dict[str, str]:
    return {
        "TOCSIN_BOOTSTRAP": bootstrap,
        "TOCSIN_PARTITIONS": str(plan.partitions),
        "TOCSIN_SLO_PATH": str(SLOS),
        "TOCSIN_FINGERPRINT": "true",
        "TOCSIN_LATENESS_MS": LATENESS_MS,
        **pager.environment,
    }


def _await(heartbeats: TopicReader, workers: Workers, logs: Path) -> None:
    """Wait until a worker has written a partial. Raises WorkerEnded, NotReady."""
    deadline = time.monotonic() + READY_S
    while not heartbeats.poll(1, 0.2):
        workers.check()
        if time.monotonic() > deadline:
            raise NotReady(logs)
