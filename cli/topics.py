"""`tocsin topics`: the table of topics; make them; hold a broker's against it.

What: `list` needs no broker, `create` makes what is missing, `describe` counts and compares. Why: partition counts and
cleanup are part of correctness. It refuses to change a topic that exists.
"""

from __future__ import annotations

from cli import output, reading, where
from cli.output import OK, PROBLEM, UNREACHABLE, Stop, coloured, span_text
from streams import topics
from streams.topics import TOPICS, Topic, TopicsUnavailable

HEADS = ("TOPIC", "WHAT", "CLEANUP", "KEPT")


def listed(*, json: bool) -> int:
    """The table."""
    if json:
        output.as_json([{"name": t.name, "what": t.what, "config": t.config} for t in TOPICS], indent=2)
    else:
        output.table(HEADS, [(t.name, t.what, t.config["cleanup.policy"], _kept(t)) for t in TOPICS])
    return OK


def _kept(topic: Topic) -> str:
    return span_text(topic.retention_ms) if topic.retention_ms else "newest of each key"


def create(bootstrap: str, partitions: int, replication: int, *, json: bool) -> int:
    """Make what is missing."""
    try:
        made = topics.ensure(bootstrap, partitions, replication, where.security())
    except TopicsUnavailable as error:
        raise _unavailable(error, bootstrap) from error
    if json:
        output.as_json({"created": made, "existed": len(TOPICS) - len(made)}, indent=2)
        return OK
    for name in made:
        output.say(name)
    output.note(
        f"{len(made)} made with {partitions} partitions and replication {replication}, {len(TOPICS) - len(made)} were there"
    )
    return OK


def describe(bootstrap: str, partitions: int, replication: int, *, json: bool) -> int:
    """Counts of what is there, and every difference from the table. Exit code 1 when there is one."""
    log = reading.opened(bootstrap)
    try:
        counts: dict[str, tuple[int, int] | None] = {}
        for topic in TOPICS:
            try:
                bounds = log.bounds(topic.name)
            except Stop as stop:
                if stop.code == UNREACHABLE:
                    raise
                counts[topic.name] = None
                continue
            counts[topic.name] = (len(bounds), sum(high - low for low, high in bounds.values()))
    finally:
        log.close()
    try:
        drifts = topics.drift(bootstrap, partitions, replication, security=where.security())
    except TopicsUnavailable as error:
        raise _unavailable(error, bootstrap) from error
    wrong: dict[str, list[str]] = {}
    for drift in drifts:
        wrong.setdefault(drift.topic, []).append(f"{drift.what} is {drift.found}, should be {drift.expected}")
    if json:
        rows = [_described(name, count, wrong.get(name, [])) for name, count in counts.items()]
        output.as_json(rows, indent=2)
    else:
        output.table(("TOPIC", "PARTITIONS", "OFFSETS", ""), [_row(n, c, wrong.get(n, [])) for n, c in counts.items()])
    return PROBLEM if drifts else OK


def _described(name: str, count: tuple[int, int] | None, wrong: list[str]) -> dict[str, object]:
    partitions, offsets = count or (None, None)
    return {"name": name, "partitions": partitions, "offsets": offsets, "drift": wrong}


def _row(name: str, count: tuple[int, int] | None, wrong: list[str]) -> tuple[output.Cell, ...]:
    partitions, offsets = (str(count[0]), f"{count[1]:,}") if count else ("-", "-")
    return name, partitions, offsets, coloured("ok") if not wrong else "; ".join(wrong)


def _unavailable(error: TopicsUnavailable, bootstrap: str) -> Stop:
    return Stop(
        UNREACHABLE, str(error), bootstrap, "check that the broker runs (`tocsin doctor`) and that you may do this"
    )
