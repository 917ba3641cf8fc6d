"""Celery: every task that this process runs as an outcome, in the trace of whoever asked for it.

What: Celery's own signals. A task is good when it ends without an exception, its duration in ms is the value; a try that is to
be repeated counts as a retry and as no outcome; the trace goes from who sends the task to who runs it in the header
`traceparent`. In a pool of processes the child that runs a task counts it, and the parent one whose child was ended: by its time
limit, or by whatever kills processes. Why: tasks are where a service does what nobody waits for, and nobody sees fail. It refuses to look at arguments
and results, and to let any fault of its own reach a task.

    tocsin.celery.watch(client)
"""

from __future__ import annotations

import contextlib
from time import perf_counter

from celery import signals
from celery.exceptions import TimeLimitExceeded, WorkerLostError

from tocsin import limits, trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from typing import Any

    from tocsin.client import Client

METRIC = "celery.task"
RETRIES = "celery.task.retries"
HEADER = "traceparent"
GOOD = frozenset({"SUCCESS", "IGNORED"})
RETRY = "RETRY"
RUNNING = 10_000  # tasks whose begin is remembered; an end without a begin is counted without its duration


def watch(client: Client, metric: str = METRIC) -> Tasks:
    """From now on measure the tasks of this process. Raises InvalidName."""
    return Tasks(client, metric)


class Tasks:
    """What signals call. `stop` lets go of them."""

    def __init__(self, client: Client, metric: str = METRIC) -> None:
        self._client = client
        self._metric = metric
        client.outcome(metric, "ms")  # a bad name is an error here
        self._running: dict[str, tuple[float, AbstractContextManager[None]]] = {}
        self._killed = ""  # the task of the child that was ended last: Celery tells of a time limit twice, in a row
        self._connected: list[tuple[Any, Callable[..., None]]] = [
            (signals.before_task_publish, self._sending),
            (signals.task_prerun, self._begins),
            (signals.task_postrun, self._ends),
            (signals.task_received, self._received),
            (signals.task_failure, self._fails),
            (signals.worker_process_shutdown, self._child_ends),
            (signals.worker_shutdown, self._worker_ends),
        ]
        for signal, work in self._connected:
            signal.connect(work, weak=False)

    def stop(self) -> None:
        """Measure no more."""
        for signal, work in self._connected:
            signal.disconnect(work)

    def _sending(self, headers: dict[str, Any] | None = None, **unused: Any) -> None:
        """The trace of the running code goes with the task."""
        found = trace.here()
        if headers is not None and len(found) == trace.TRACE_BYTES + trace.SPAN_BYTES:
            hexed = found.hex()
            headers.setdefault(HEADER, f"00-{hexed[:32]}-{hexed[32:]}-01")

    def _begins(self, task_id: str = "", task: Any = None, **unused: Any) -> None:
        with contextlib.suppress(Exception):
            if len(self._running) >= RUNNING:
                self._running.clear()
            within = trace.within_trace(getattr(task.request, HEADER, None))
            within.__enter__()
            self._running[task_id] = perf_counter(), within

    def _ends(self, task_id: str = "", task: Any = None, state: str = "", **unused: Any) -> None:
        with contextlib.suppress(Exception):
            began, within = self._running.pop(task_id, (None, None))
            took = 0.0 if began is None else (perf_counter() - began) * 1e3
            if state == RETRY:
                self._client.counter(RETRIES, "{try}", task=_name(task)).add(1)
            elif state or began is None:  # without a state it was cut off, with its process: the parent tells
                self._client.outcome(self._metric, "ms", task=_name(task)).observe(state in GOOD, took)
            if within is not None:
                within.__exit__(None, None, None)

    def _received(self, request: Any = None, **unused: Any) -> None:
        """In the parent: if it is a task that was ended before, its next end is another one."""
        if getattr(request, "id", None) == self._killed:
            self._killed = ""

    def _fails(self, task_id: str = "", sender: Any = None, exception: object = None, **unused: Any) -> None:
        """In the parent: a child was ended with its task, and tells nothing. Any other failure ends in `_ends`."""
        with contextlib.suppress(Exception):
            if not isinstance(exception, (TimeLimitExceeded, WorkerLostError)) or task_id == self._killed:
                return
            self._killed = task_id
            took = float(exception.args[0]) * 1e3 if isinstance(exception, TimeLimitExceeded) else 0.0
            self._client.outcome(self._metric, "ms", task=_name(sender)).observe(good=False, value=took)

    def _child_ends(self, **unused: Any) -> None:
        """A pool's processes end without exit hooks."""
        with contextlib.suppress(Exception):
            self._client.close()

    def _worker_ends(self, **unused: Any) -> None:
        """The worker has ended; its process, which may be a host of more, has not."""
        with contextlib.suppress(Exception):
            self._client.flush(limits.EXIT_DEADLINE)


def _name(task: Any) -> str:
    return str(task.name)[: limits.LABEL_VALUE_CHARS]
