"""Faust: every event that this worker's agents process as an outcome, and how far behind they are.

What: Faust's own sensor. An event is good when the agent asks for the next one and bad when the agent raises, its duration in
ms is the value, agent and topic are its labels; what is sent is an outcome as well; lag, partitions and rebalances are told
when they change. Why: Faust acknowledges an event whose agent raised like any other, restarts the agent and goes on, so that
nothing but a log line is left of it. It refuses to look at keys, values and tables, and to let any fault of its own reach an agent.

    tocsin.faust.watch(client, app)

What Faust tells, and what it does not (0.15): an agent that raises is told of to its `on_error` alone, and the event's end
comes later, out of a generator that is thrown away; an end that comes like that and was not raised is counted only where it
is known that the agent goes on, and one that a shutdown cut off is neither good nor bad. The events of `take` end when their
batch is acknowledged, those of `noack` at `await stream.ack(event)`; an `event.ack()` is told to nobody.
"""

from __future__ import annotations

import contextlib
import sys
from _contextvars import ContextVar
from asyncio import current_task
from time import perf_counter
from weakref import WeakKeyDictionary, WeakSet

from faust import Sensor
from faust.agents import current_agent

from tocsin import limits, trace
from tocsin.errors import InvalidOption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from tocsin.client import Client
    from tocsin.hot import Add, Observe

METRIC = "faust.event"
TAKEN = "faust.events"  # handed to agents, whatever becomes of them
SENT = "faust.send"
LAG = "faust.lag"  # in messages, as of the last fetch
PARTITIONS = "faust.partitions"
REBALANCE = "faust.rebalance"
HEADER = "traceparent"
HELD = "_tocsin"  # attribute of an event: what is open of it, by source


def watch(client: Client, app: Any, metric: str = METRIC) -> Events:
    """From its start on measure what the app's agents process. Raises InvalidName, InvalidOption."""
    if app.started:
        raise InvalidOption(
            "app; it runs already, and would ask for states that were not kept: watch it where it is made"
        )
    made = Events(client, metric)
    app.sensors.add(made)
    return made


class Run:
    """One event in the hands of one stream."""

    __slots__ = ("began", "good", "observe", "open", "within")

    def __init__(self, observe: Observe, within: AbstractContextManager[None] | None) -> None:
        self.observe = observe
        self.within = within
        self.good = True
        self.open = True
        self.began = perf_counter()

    def end(self, good: bool) -> None:
        """Count it, once."""
        if self.open:
            self.open = False
            self.observe(good and self.good, (perf_counter() - self.began) * 1e3)


class Source:
    """A stream that events come from: its instruments by topic, bound at the first event of each."""

    __slots__ = ("agent", "ends", "raised")

    def __init__(self, agent: Any) -> None:
        self.agent = agent
        self.ends: dict[str, tuple[Add, Observe]] = {}
        self.raised = 0.0  # when the agent raised last, while it iterated over this stream


class Events(Sensor):
    """What Faust calls."""

    def __init__(self, client: Client, metric: str = METRIC) -> None:
        super().__init__()
        self._client = client
        self._metric = metric
        client.outcome(metric, "ms")  # a bad name is an error here
        self._sources: WeakKeyDictionary[Any, Source] = WeakKeyDictionary()
        self._agents: WeakSet[Any] = WeakSet()  # that tell us when they raise
        #: The event that the running agent has in its hands; not set for batches.
        self._at_hand: ContextVar[Run | None] = ContextVar("tocsin_faust", default=None)

    def bad(self) -> None:
        """The event in the running agent's hands did not go well, although nothing is raised. Not for batches."""
        run = self._at_hand.get()
        if run is not None:
            run.good = False

    # -- events

    def on_stream_event_in(self, tp: Any, offset: int, stream: Any, event: Any) -> Run | None:
        """A stream hands an event to its agent."""
        with contextlib.suppress(Exception):
            source = self._sources.get(stream)
            if source is None:
                source = self._sources[stream] = self._source()
            ends = source.ends.get(tp.topic)
            if ends is None:
                ends = source.ends[tp.topic] = self._instruments(source.agent, tp.topic)
            ends[0](1)
            header = event.headers.get(HEADER) if event.headers and stream.enable_acks else None
            within = trace.within_trace(header) if header else None
            if within is not None:
                within.__enter__()
            run = Run(ends[1], within)
            if not stream.enable_acks:  # its end comes with the acknowledgement, and without what is returned here
                event.__dict__.setdefault(HELD, {})[source] = run
            self._at_hand.set(run)
            return run
        return None

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Run | None = None) -> None:
        """A stream is done with an event, one way or another."""
        with contextlib.suppress(Exception):
            source = self._sources[stream]
            run = state or event.__dict__[HELD].pop(source)
            if not isinstance(sys.exc_info()[1], GeneratorExit):
                run.end(good=True)
            elif run.open:
                self._left(run, source)
            if run.within is not None:
                run.within.__exit__(None, None, None)

    def _left(self, run: Run, source: Source) -> None:
        """The loop over the stream was left with the event in hand: by an exception, a cancellation, or of its own will."""
        actors = [actor.actor_task for actor in getattr(source.agent, "_actors", ()) if actor.actor_task is not None]
        if run.began <= source.raised:
            run.end(good=False)
        elif actors and not any(task.cancelling() for task in actors):
            run.end(good=True)

    def _source(self) -> Source:
        """Of the running agent, which tells us from now on when it raises."""
        agent = current_agent()
        if agent is not None and agent not in self._agents:
            self._agents.add(agent)
            told = agent._on_error  # noqa: SLF001 - its constructor's `on_error`: there is no other way to hear of it

            async def on_error(agent: Any, error: BaseException) -> None:
                self._raised(agent)
                if told is not None:
                    await told(agent, error)

            agent._on_error = on_error  # noqa: SLF001
        return Source(agent)

    def _raised(self, agent: Any) -> None:
        """Called in the task of the actor that raised."""
        with contextlib.suppress(Exception):
            run, task = self._at_hand.get(), current_task()
            if run is not None:
                run.end(good=False)
            roots = [actor.stream.get_root_stream() for actor in agent._actors if actor.actor_task is task]  # noqa: SLF001
            for stream, source in self._sources.items():
                if stream.get_root_stream() in roots:
                    source.raised = perf_counter()

    def _instruments(self, agent: Any, topic: str) -> tuple[Add, Observe]:
        labels = {"topic": str(topic)[: limits.LABEL_VALUE_CHARS]}
        if agent is not None:
            labels["agent"] = str(agent.name)[: limits.LABEL_VALUE_CHARS]
        client = self._client
        return client.counter(TAKEN, "{event}", **labels).add, client.outcome(self._metric, "ms", **labels).observe

    # -- what is sent

    def on_send_initiated(self, producer: Any, topic: str, message: Any, keysize: int, valsize: int) -> Run | None:
        """A message is on its way."""
        with contextlib.suppress(Exception):
            return Run(self._client.outcome(SENT, "ms", topic=topic[: limits.LABEL_VALUE_CHARS]).observe, None)
        return None

    def on_send_completed(self, producer: Any, state: Run | None, metadata: Any) -> None:
        """The broker has acknowledged it."""
        if state is not None:
            state.end(good=True)

    def on_send_error(self, producer: Any, exc: BaseException, state: Run | None) -> None:
        """It will not arrive."""
        if state is not None:
            state.end(good=False)

    # -- lag and partitions

    def on_commit_completed(self, consumer: Any, state: Any) -> None:
        """Now and then, also when there is nothing to commit: a good moment to say how far behind we are."""
        with contextlib.suppress(Exception):
            self._client.gauge(PARTITIONS, "{partition}").set(float(len(consumer.assignment())))
            monitor = consumer.app.monitor
            behind: dict[str, int] = {}
            for tp, read in monitor.tp_read_offsets.items():
                end = monitor.tp_end_offsets.get(tp)
                if end is not None:
                    behind[tp.topic] = behind.get(tp.topic, 0) + max(0, end - read - 1)
            for topic, messages in behind.items():
                name = topic[: limits.LABEL_VALUE_CHARS]
                self._client.gauge(LAG, "{message}", topic=name).set(float(messages))

    def on_rebalance_start(self, app: Any) -> float:
        """Partitions are dealt out anew."""
        return perf_counter()

    def on_rebalance_end(self, app: Any, state: float) -> None:
        """They are, and tables are recovered."""
        with contextlib.suppress(Exception):
            self._client.histogram(REBALANCE, "ms").record((perf_counter() - state) * 1e3)
