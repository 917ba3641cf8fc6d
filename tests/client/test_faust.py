"""Faust's own agents, in its test context: each event that they process is an outcome, in each way it may end."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP
from tocsin import Client, InvalidName, InvalidOption, MemoryTransport
from tocsin.faust import Events, watch

from demo.wire import Batch, read_batch
from tests.client.read import exemplars

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
BAD, LAST = "bad", "last"
GOOD_ONE, BAD_ONE = ("pay", "orders", 1), ("pay", "orders", 0)


@pytest.fixture
def client() -> Iterator[Client]:
    with Client(source="s", service="shop", transport=MemoryTransport(), flush_interval=3600) as made:
        yield made


@pytest.fixture
async def app() -> AsyncIterator[Any]:
    made = faust.App("shop", broker="kafka://127.0.0.1:1", store="memory://", web_enabled=False)
    yield made
    if made._consumer is not None:  # a stream asks for one, whose thread would close the loop that was made for it
        made._consumer._thread.thread_loop.close()


@pytest.fixture
async def events(app: Any, client: Client) -> Events:
    return watch(client, app)


def rows(batch: Batch, metric: str) -> list[tuple[dict[str, str], float, int]]:
    """(labels, value, outcome) of the metric's measurements."""
    found = []
    for place, number, outcome in zip(batch.series.tolist(), batch.value.tolist(), batch.outcome.tolist(), strict=True):
        name, _, _, _, labels = batch.identities[place]
        if name == metric:
            found.append(({k: v for k, v in dict(labels).items() if k != "service"}, number, outcome))
    return found


async def until(asked: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not asked():  # noqa: ASYNC110 - of what Faust does in tasks of its own
            await asyncio.sleep(0.005)


class Shop:
    """An app that is watched, and what arrived of it."""

    def __init__(self, app: Any, events: Events, client: Client) -> None:
        self.app, self.events, self.client = app, events, client
        self.transport: Any = client._transport

    def found(self, metric: str) -> list[tuple[dict[str, str], float, int]]:
        assert self.client.flush(10)
        return [row for _, value in self.transport.records for row in rows(read_batch(value), metric)]

    def outcomes(self) -> Counter[tuple[str, str, int]]:
        """(agent, topic, outcome) -> how many."""
        return Counter((row["agent"], row["topic"], outcome) for row, _, outcome in self.found("faust.event"))

    def agent(self, work: Callable[[Any], Any], **options: Any) -> Any:
        return self.app.agent(self.app.topic("orders"), name="pay", **options)(work)

    async def feed(self, agent: Any, *values: str, ends: int, headers: dict[str, bytes] | None = None) -> str:
        """Have it process these, and wait until so many have ended. Answers with what it raised, which is Faust's."""
        async with agent.test_context() as tested:
            for value in values:
                await tested.put(value, headers=headers, wait=False)
            await until(lambda: self.outcomes().total() >= ends)
            return repr(tested.crash_reason)


@pytest.fixture
async def shop(app: Any, events: Events, client: Client) -> Shop:
    return Shop(app, events, client)


def plain(stream: Any) -> Any:
    return stream


def with_events(stream: Any) -> Any:
    return stream.events()


def value_of(given: Any) -> str:
    return str(getattr(given, "value", given))


@pytest.mark.parametrize("over", [plain, with_events])
@pytest.mark.parametrize("yields", [False, True])
async def test_good_until_the_agent_raises(shop: Shop, over: Callable[[Any], Any], yields: bool) -> None:
    async def silent(stream: Any) -> None:
        async for given in over(stream):
            if value_of(given) == BAD:
                raise ValueError(BAD)

    async def answering(stream: Any) -> Any:
        async for given in over(stream):
            if value_of(given) == BAD:
                raise ValueError(BAD)
            yield given

    agent = shop.agent(answering if yields else silent)
    assert await shop.feed(agent, "a", "b", BAD, ends=3) == repr(ValueError(BAD))
    assert shop.outcomes() == {GOOD_ONE: 2, BAD_ONE: 1}
    taken = shop.found("faust.events")
    assert sum(number for _, number, _ in taken) == 3.0
    assert all(labels == {"agent": "pay", "topic": "orders"} for labels, _, _ in taken)
    assert all(took > 0 for _, took, _ in shop.found("faust.event"))


async def test_the_hosts_own_on_error_is_called_as_before(shop: Shop) -> None:
    told = []

    async def on_error(agent: Any, error: BaseException) -> None:
        told.append((agent.name, str(error)))

    async def pay(stream: Any) -> None:
        async for _ in stream:
            raise ValueError(BAD)

    agent = shop.agent(pay)
    async with agent.test_context(on_error=on_error) as tested:
        await tested.put("a", wait=False)
        await until(lambda: bool(told and shop.outcomes()))
    assert told == [("pay", BAD)]
    assert shop.outcomes() == {BAD_ONE: 1}


async def test_a_sink_that_fails_and_a_processor_that_does(shop: Shop) -> None:
    def sink(value: str) -> None:
        if value == BAD:
            raise ValueError("the sink's")

    async def pay(stream: Any) -> Any:
        async for value in stream:
            yield value

    assert await shop.feed(shop.agent(pay, sink=[sink]), "a", BAD, ends=2) == repr(ValueError("the sink's"))
    assert shop.outcomes() == {GOOD_ONE: 1, BAD_ONE: 1}

    def processor(value: str) -> str:
        raise ValueError("the processor's")

    async def mail(stream: Any) -> None:
        stream.add_processor(processor)
        async for _ in stream:
            pass

    assert await shop.feed(shop.app.agent(shop.app.topic("mails"), name="mail")(mail), "a", ends=3) == repr(
        ValueError("the processor's")
    )
    assert shop.outcomes()["mail", "mails", 0] == 1


async def test_what_a_filter_leaves_out_went_well(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for value in stream.filter(lambda value: value != "b"):
            assert value != "b"

    await shop.feed(shop.agent(pay), "a", "b", "c", ends=3)
    assert shop.outcomes() == {GOOD_ONE: 3}


async def test_each_event_of_a_batch(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for batch in stream.take(2, within=30):
            if BAD in batch:
                raise ValueError(BAD)

    assert await shop.feed(shop.agent(pay), "a", "b", "c", BAD, ends=4) == repr(ValueError(BAD))
    assert shop.outcomes() == {GOOD_ONE: 2, BAD_ONE: 2}
    assert all(took > 0 for _, took, _ in shop.found("faust.event"))


async def test_a_stream_that_acknowledges_by_itself(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        manual = stream.noack()
        async for event in manual.events():
            if event.value == BAD:
                raise ValueError(BAD)
            await manual.ack(event)
            await manual.ack(event)  # a second one is nothing new

    assert await shop.feed(shop.agent(pay), "a", "b", BAD, ends=3) == repr(ValueError(BAD))
    assert shop.outcomes() == {GOOD_ONE: 2, BAD_ONE: 1}


async def test_an_agent_says_that_it_did_not_go_well(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for value in stream:
            try:
                if value == BAD:
                    raise ValueError(BAD)
            except ValueError:
                shop.events.bad()

    await shop.feed(shop.agent(pay), "a", BAD, "b", ends=3)
    assert shop.outcomes() == {GOOD_ONE: 2, BAD_ONE: 1}
    shop.events.bad()  # outside of any: nothing


async def test_a_loop_that_the_agent_leaves(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for value in stream:
            if value == LAST:
                break
        await asyncio.Event().wait()

    await shop.feed(shop.agent(pay), "a", LAST, ends=2)
    assert shop.outcomes() == {GOOD_ONE: 2}


async def test_an_event_that_is_cut_off(shop: Shop) -> None:
    """Nobody knows what it would have been."""
    at_work = asyncio.Event()

    async def pay(stream: Any) -> None:
        async for value in stream:
            if value == LAST:
                at_work.set()
                await asyncio.Event().wait()

    async with shop.agent(pay).test_context() as tested:
        await tested.put("a", wait=False)
        await tested.put(LAST, wait=False)
        await until(lambda: at_work.is_set() and shop.outcomes().total() == 1)
        (actor,) = tested._actors
        actor.actor_task.cancel()
        await until(lambda: actor.stream.current_event is None)
    assert shop.outcomes() == {GOOD_ONE: 1}
    assert sum(number for _, number, _ in shop.found("faust.events")) == 2.0


async def test_the_trace_of_who_sent_it(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for value in stream:
            shop.client.log("paying")
            if value == BAD:
                raise ValueError(BAD)

    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode()}
    assert await shop.feed(shop.agent(pay), BAD, ends=1, headers=headers) == repr(ValueError(BAD))
    kept = [found for _, value in shop.transport.records for found in exemplars(value).values()]
    assert kept == [bytes.fromhex(TRACE)]
    assert shop.transport.logs is not None
    assert sum(value.count(bytes.fromhex(TRACE)) for _, value in shop.transport.logs.records) == 1


async def test_the_trace_ends_with_the_event(shop: Shop) -> None:
    async def pay(stream: Any) -> None:
        async for _ in stream:
            shop.client.log("paying")

    async with shop.agent(pay).test_context() as tested:
        headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01".encode()}
        await tested.put("a", headers=headers, wait=False)
        await tested.put("b", wait=False)
        await until(lambda: shop.outcomes().total() == 2)
    assert shop.transport.logs is not None
    assert sum(value.count(bytes.fromhex(TRACE)) for _, value in shop.transport.logs.records) == 1


async def test_what_is_sent(shop: Shop) -> None:
    sensors = shop.app.sensors
    for _ in range(3):
        state = sensors.on_send_initiated(None, "paid", None, 1, 1)
        sensors.on_send_completed(None, state, None)
    sensors.on_send_error(None, OSError("away"), sensors.on_send_initiated(None, "paid", None, 1, 1))
    assert Counter((row["topic"], outcome) for row, _, outcome in shop.found("faust.send")) == {
        ("paid", 1): 3, ("paid", 0): 1,
    }  # fmt: skip


async def test_lag_partitions_and_rebalances(shop: Shop) -> None:
    monitor = shop.app.monitor
    monitor.tp_read_offsets.update({TP("orders", 0): 9, TP("orders", 1): 4, TP("mails", 0): 7})
    monitor.tp_end_offsets.update({TP("orders", 0): 15, TP("orders", 1): 5})
    consumer = SimpleNamespace(app=shop.app, assignment=lambda: {TP("orders", 0), TP("orders", 1)})
    sensors = shop.app.sensors
    sensors.on_commit_completed(consumer, sensors.on_commit_initiated(consumer))
    sensors.on_rebalance_end(shop.app, sensors.on_rebalance_start(shop.app))
    assert [(row, number) for row, number, _ in shop.found("faust.lag")] == [({"topic": "orders"}, 5.0)]
    assert [number for _, number, _ in shop.found("faust.partitions")] == [2.0]
    assert len(shop.found("faust.rebalance")) == 1


async def test_a_fault_of_ours_does_not_reach_an_agent(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*unused: object, **labels: object) -> None:
        raise RuntimeError("ours")

    for name in ("outcome", "counter", "gauge", "histogram"):
        monkeypatch.setattr(shop.client, name, broken)
    done: list[str] = []

    async def pay(stream: Any) -> None:
        async for value in stream:
            done.append(value)  # noqa: PERF401 - one by one is what is tested

    async with shop.agent(pay).test_context() as tested:
        await tested.put("a")
        await tested.put("b")
        await until(lambda: done == ["a", "b"])
    sensors = shop.app.sensors
    sensors.on_send_error(None, OSError(), sensors.on_send_initiated(None, "paid", None, 1, 1))
    sensors.on_commit_completed(None, sensors.on_commit_initiated(None))
    sensors.on_rebalance_end(shop.app, sensors.on_rebalance_start(shop.app))


async def test_an_event_is_not_kept_alive(shop: Shop) -> None:
    seen: list[weakref.ref[Any]] = []

    async def pay(stream: Any) -> None:
        async for event in stream.events():
            seen.append(weakref.ref(event))  # noqa: PERF401 - as above

    await shop.feed(shop.agent(pay), "a", "b", "c", ends=3)
    await asyncio.sleep(0)
    assert [ref() for ref in seen[:2]] == [None, None]


async def test_wrong_from_the_beginning(app: Any, client: Client) -> None:
    with pytest.raises(InvalidName):
        watch(client, app, metric="no spaces")
    app._started.set()
    with pytest.raises(InvalidOption, match="runs already"):
        watch(client, app)
