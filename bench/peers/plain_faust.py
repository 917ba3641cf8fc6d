"""The peer that Tocsin is built on: stock Faust with a windowed table, doing the same work.

Reads single events from the topic in BENCH_TOPIC, folds each into a changelogged in-memory table with 10 s windows:
Faust's own idiom, relative to the event's own time. Once a second the windows
that changed go to the results topic: Faust closes windows by the wall clock, so that there is no final result to wait
for, and a result for each event would cost it more. Refuses to be clever.
"""

from __future__ import annotations

import faust

from bench.peers import work

KEPT_S = 3_600.0

app = faust.App(
    work.GROUP,
    broker=f"kafka://{work.BOOTSTRAP}",
    store="memory://",
    topic_partitions=work.PARTITIONS,
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
    topic_disable_leader=True,
    table_standby_replicas=0,
    stream_wait_empty=False,
    broker_client_id=work.CLIENT,
    **({"broker_session_timeout": work.SESSION_S} if work.SESSION_S else {}),
)
events = app.topic(work.TOPIC, key_serializer="raw", value_serializer="raw")
results = app.topic(work.RESULTS, key_serializer="raw", value_serializer="raw")
now_s = 0.0  # of the event in hand


def event_time(_event: object) -> float:
    """What windows are relative to: the event was decoded once already."""
    return now_s


windows = (
    app.Table("windows", default=work.empty, partitions=work.PARTITIONS)
    .tumbling(work.WINDOW_MS / 1000, expires=KEPT_S)
    .relative_to(event_time)
)
changed: dict[tuple[str, int], work.Cell] = {}
taken = [0] * work.PARTITIONS
rounds = 0


@app.agent(events)
async def aggregate(stream: faust.StreamT[bytes]) -> None:
    """Plain Faust: one event at a time, one table write each."""
    global now_s  # noqa: PLW0603 - a script's own state, as Faust's examples keep it
    async for message in stream.events():
        event = work.decoded(message.value)
        now_s = event["time_ms"] / 1000
        cell = work.fold(windows[event["key"]].value(), event)
        windows[event["key"]] = cell
        changed[event["key"], event["time_ms"] // work.WINDOW_MS * work.WINDOW_MS] = cell
        taken[message.message.partition] += 1


@app.timer(1.0)
async def publish() -> None:
    """The windows that changed, and how far it was then: no event is folded while the round is put together."""
    global rounds  # noqa: PLW0603 - as above
    rounds += 1
    ready = [(key, work.result(start, cell | {"round": rounds})) for (key, start), cell in changed.items()]
    changed.clear()
    facts = {"done": sum(taken), "round": rounds, "taken": list(taken)}
    for key, value in ready:
        await results.send(key=key.encode(), value=value)
    await app.producer.flush()
    work.report(**facts)


if __name__ == "__main__":
    app.main()
