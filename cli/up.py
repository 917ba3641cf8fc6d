"""`tocsin up`: a broker, its topics and workers on this machine, until Ctrl-C.

What: the platform without the demo's story, for one's own telemetry. Prints the broker's address once all is up. It
refuses to be a deployment: one node on loopback; docker-compose.yml and a real cluster are for that.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator

from cli import output
from cli.output import OK, PROBLEM, UNREACHABLE, Stop

LOOK_S = 0.5


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does, and Ctrl-C does even where a shell's background job would ignore it."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupted) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def run(workers: int, partitions: int, replication: int, *, keep: bool, json: bool) -> int:
    """Exit code: 1 when a worker ended by itself."""
    from demo.workers import WorkerEnded, Workers
    from local.choice import broker, home_dir
    from local.directory import made
    from local.errors import LocalError
    from streams import topics

    with contextlib.ExitStack() as stack:
        stack.enter_context(stoppable())
        try:
            logs = made(home_dir() / "up")
            running = stack.enter_context(broker(output.note, keep=keep))
            new = topics.ensure(running.bootstrap, partitions, replication)
        except (LocalError, topics.TopicsUnavailable) as error:
            raise Stop(
                UNREACHABLE, str(error), "starting the broker", "`tocsin doctor` looks at this machine"
            ) from error
        output.note(f"topics: {len(new)} made, {len(topics.TOPICS) - len(new)} there")
        environment = {"TOCSIN_BOOTSTRAP": running.bootstrap, "TOCSIN_PARTITIONS": str(partitions)}
        environment["TOCSIN_REPLICATION"] = str(replication)
        fleet = Workers(environment, logs)
        stack.callback(fleet.stop)
        for number in range(workers):
            fleet.start(f"worker-{number + 1}")
        if json:
            output.as_json(
                {"bootstrap": running.bootstrap, "kind": running.kind, "workers": workers, "logs": str(logs)}
            )
        else:
            output.say(running.bootstrap)
        output.note(f"{workers} workers; their logs: {logs}; Ctrl-C ends what was started here")
        try:
            while True:
                fleet.check()
                time.sleep(LOOK_S)
        except WorkerEnded as error:
            raise Stop(PROBLEM, str(error), str(logs), "read its log; a bad setting is named there") from error
        except KeyboardInterrupt:
            return OK
