"""Every topic in one table, and the one place that creates them.

What: name, cleanup, retention and special settings of each topic. Why: partition counts and cleanup policies are part
of correctness here (state must be compacted, arrival must be stamped by the broker). It refuses to change a topic that
exists: `drift` reports the difference, a person decides.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType  # type: ignore[attr-defined]  # re-exports not declared

from access import refusals
from access.refusals import Ear
from access.security import OPEN, KafkaSecurity

TELEMETRY = "telemetry"
PARTIALS = "telemetry.partials"
ROLLUPS = "telemetry.rollups"
SLO_STATUS = "slo.status"
ALERTS = "alerts"
INCIDENTS = "incidents"
NOTIFICATIONS = "notifications"
COMMANDS = "commands"
LATE = "telemetry.late"
DLQ = "telemetry.dlq"
LOGS = "logs"
STATE_PREFIX = "tocsin.state."
GROUP = "tocsin.topics"  # asked about, so that a fresh broker makes its offsets topic

HOUR_MS = 3_600_000
MIN_IN_SYNC = "min.insync.replicas"
TIMEOUT_S = 30.0
THREE = 3  # from so many replicas on one may be away and writing goes on
SHOWN_POLL_S = 0.05
HEAR_S = 0.2  # for the errors that librdkafka tells beside its answers
_STAMPED = {"message.timestamp.type": "LogAppendTime"}
_COMPACT_QUICKLY = {"segment.ms": "60000", "min.cleanable.dirty.ratio": "0.1", "max.compaction.lag.ms": "600000"}


class TopicsUnavailable(RuntimeError):
    """The broker did not create or describe the topics."""


class BrokerUnreachable(TopicsUnavailable):
    """Nobody answered at all."""


class BrokerRefuses(TopicsUnavailable):
    """A broker is there and does not let us; `reason` is one of access.refusals.REASONS."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


#: librdkafka's own codes for that: no transport, all brokers down, timed out.
NOBODY = frozenset({-195, -187, -185})
#: A group's coordinator is loading, or not known, or has just become another.
NOT_YET = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


@dataclasses.dataclass(frozen=True)
class Topic:
    """One topic of ours."""

    name: str
    what: str
    retention_ms: int
    compact: bool = False
    extra: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> dict[str, str]:
        """Broker-side settings, as strings."""
        keeps_deleting = self.retention_ms > 0
        policy = ["compact"] if self.compact else []
        policy += ["delete"] if keeps_deleting else []
        config = {"cleanup.policy": ",".join(policy), "max.message.bytes": str(8 << 20), **self.extra}
        return config | ({"retention.ms": str(self.retention_ms)} if keeps_deleting else {})


def in_sync(replication: int) -> int:
    """min.insync.replicas: a majority, so that what was acknowledged outlives a broker; below three no broker may be
    missing for it, or there is no other."""
    return replication // 2 + 1 if replication >= THREE else 1


def state(stage: str) -> Topic:
    """Where the snapshots of a stage go."""
    return Topic(STATE_PREFIX + stage, "snapshots", 0, compact=True, extra=_COMPACT_QUICKLY)


TOPICS: tuple[Topic, ...] = (
    # LogAppendTime: arrival is stamped by the broker, so it is in the log and the same in every replay
    Topic(TELEMETRY, "what sources emit", 24 * HOUR_MS, extra=_STAMPED),
    # as above: what lets time pass without data is the broker's clock, and none of the workers'
    Topic(PARTIALS, "a source partition's share of a pane", 6 * HOUR_MS, extra=_STAMPED),
    Topic(ROLLUPS, "windows for analysts", 7 * 24 * HOUR_MS, compact=True),
    Topic(SLO_STATUS, "budget and burn of each SLO group", 0, compact=True),
    Topic(ALERTS, "alert transitions", 90 * 24 * HOUR_MS),
    Topic(INCIDENTS, "incident transitions", 90 * 24 * HOUR_MS),
    Topic(NOTIFICATIONS, "deliveries", 90 * 24 * HOUR_MS),
    Topic(COMMANDS, "what people ask for", 90 * 24 * HOUR_MS),
    Topic(LATE, "beyond the late horizon, original bytes", 7 * 24 * HOUR_MS),
    Topic(DLQ, "unreadable, original bytes", 7 * 24 * HOUR_MS),
    # keyed by service: its records are in order; arrival stamped by the broker, so that "since" means the same to everybody
    Topic(LOGS, "log records and events", 7 * 24 * HOUR_MS, extra=_STAMPED),
    state("aggregate"),
    state("merge"),
    state("notify"),
)


def admin(bootstrap: str, security: KafkaSecurity = OPEN, ear: Ear | None = None) -> AdminClient:
    """A Kafka admin client. `ear` hears of refusals when the client is polled."""
    heard: dict[str, Any] = {} if ear is None else {"error_cb": ear}
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, **security.librdkafka(), **heard})


def unavailable(client: AdminClient, error: KafkaError, ear: Ear, bootstrap: str) -> TopicsUnavailable:
    """Why a call failed: refused, as far as the ear has heard or the error says; else unreachable or what it says."""
    client.poll(HEAR_S)
    if why := ear.reason or refusals.reason(error):
        return BrokerRefuses(f"broker {bootstrap}: {ear.last or refusals.told(error, ear.principal)}", why)
    kind = BrokerUnreachable if error.code() in NOBODY else TopicsUnavailable
    return kind(f"broker {bootstrap}: {error.str()}")


def partitions_of(bootstrap: str, timeout_s: float, security: KafkaSecurity = OPEN) -> dict[str, int]:
    """How many partitions each topic of the broker has. Raises TopicsUnavailable."""
    ear = Ear(security.principal)
    client = admin(bootstrap, security, ear)
    try:
        found = client.list_topics(timeout=timeout_s).topics
    except KafkaException as error:
        raise unavailable(client, error.args[0], ear, bootstrap) from error
    return {name: len(topic.partitions) for name, topic in found.items()}


def ensure(
    bootstrap: str,
    partitions: int,
    replication: int = 1,
    security: KafkaSecurity = OPEN,
    table: Iterable[Topic] | None = None,
) -> list[str]:
    """Create the topics of `table` (ours, if none is given) that are missing and wait until the broker shows them; the
    names of those created.

    Raises TopicsUnavailable.
    """
    table = TOPICS if table is None else tuple(table)
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=partitions,
            replication_factor=replication,
            config={**topic.config, MIN_IN_SYNC: str(in_sync(replication))},
        )
        for topic in table
    ]
    created = []
    ear = Ear(security.principal)
    client = admin(bootstrap, security, ear)  # must outlive the answers
    answers: dict[str, Future[None]] = client.create_topics(wanted, operation_timeout=TIMEOUT_S)
    for name, answer in answers.items():
        try:
            answer.result(TIMEOUT_S)
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                told = refusals.told(error.args[0], security.principal, f"topic {name} (Create)")
                raise TopicsUnavailable(f"topic {name}: {ear.last or told} (broker {bootstrap})") from error
        except TimeoutError as error:
            client.poll(HEAR_S)
            raise TopicsUnavailable(
                f"broker {bootstrap}: {ear.last or f'no answer within {TIMEOUT_S:.0f} s'}"
            ) from error
    _wait_until_shown(client, bootstrap, {topic.name for topic in table})
    if created:
        _wait_for_coordinator(bootstrap, security)
    return created


def _wait_for_coordinator(bootstrap: str, security: KafkaSecurity = OPEN) -> None:
    """A fresh broker makes its offsets topic when it is first asked about a group; a worker that asks first is slow. In a
    cluster of several it is elsewhere for a moment, or not loaded yet."""
    asks = {"bootstrap.servers": bootstrap, "group.id": GROUP, "log_level": 0}
    consumer = Consumer(asks | security.librdkafka())
    deadline = time.monotonic() + TIMEOUT_S
    try:
        while True:
            try:
                consumer.committed([TopicPartition(TELEMETRY, 0)], timeout=TIMEOUT_S)
            except KafkaException as error:
                kind = error.args[0]
                if kind.code() not in NOT_YET or time.monotonic() > deadline:
                    told = refusals.told(kind, security.principal, f"group {GROUP} (Describe)")
                    raise TopicsUnavailable(f"broker {bootstrap}: no group coordinator: {told}") from error
                time.sleep(SHOWN_POLL_S)
            else:
                return
    finally:
        consumer.close()


def _wait_until_shown(client: AdminClient, bootstrap: str, names: set[str]) -> None:
    """A broker answers "created" a moment before its metadata knows the topic."""
    deadline = time.monotonic() + TIMEOUT_S
    while missing := names - set(client.list_topics(timeout=TIMEOUT_S).topics):
        if time.monotonic() > deadline:
            raise TopicsUnavailable(f"broker {bootstrap}: does not show {sorted(missing)} after {TIMEOUT_S:.0f} s")
        time.sleep(SHOWN_POLL_S)


@dataclasses.dataclass(frozen=True)
class Drift:
    """A topic that is not as the table says."""

    topic: str
    what: str
    expected: str
    found: str


#: Differences with which counting would be wrong from the first record on: no worker starts with them.
FATAL = frozenset({"topic", "partitions"})


def drift(
    bootstrap: str, partitions: int, replication: int = 1, timeout_s: float = 0.0, security: KafkaSecurity = OPEN
) -> list[Drift]:
    """Where the broker's topics differ from the table; more replicas than asked for are none. Raises TopicsUnavailable."""
    ear, timeout_s = Ear(security.principal), timeout_s or TIMEOUT_S
    client = admin(bootstrap, security, ear)
    try:
        known = client.list_topics(timeout=timeout_s).topics
        found = [topic for topic in TOPICS if topic.name in known]
        resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in found]
        configs = {r.name: f.result(timeout_s) for r, f in client.describe_configs(resources).items()} if found else {}
    except KafkaException as error:
        raise unavailable(client, error.args[0], ear, bootstrap) from error
    except TimeoutError as error:
        raise BrokerUnreachable(f"broker {bootstrap}: no answer within {timeout_s:.0f} s") from error
    answers = [Drift(t.name, "topic", "present", "missing") for t in TOPICS if t.name not in known]
    for topic in found:
        count = len(known[topic.name].partitions)
        if count != partitions:
            answers.append(Drift(topic.name, "partitions", str(partitions), str(count)))
        answers += _replicas(
            topic.name, min(len(p.replicas) for p in known[topic.name].partitions.values()), replication
        )
        in_sync_now = configs[topic.name][MIN_IN_SYNC].value if MIN_IN_SYNC in configs[topic.name] else "1"
        answers += _acknowledged_by(topic.name, int(in_sync_now), replication)
        for key, expected in topic.config.items():
            value = configs[topic.name][key].value if key in configs[topic.name] else "(unset)"
            if sorted(value.split(",")) != sorted(expected.split(",")):
                answers.append(Drift(topic.name, key, expected, value))
    return answers


def _replicas(topic: str, found: int, wanted: int) -> list[Drift]:
    return [Drift(topic, "replication", f"at least {wanted}", str(found))] if found < wanted else []


def _acknowledged_by(topic: str, found: int, replication: int) -> list[Drift]:
    """Fewer brokers than a majority may lose what was acknowledged; more than there are replicas take nothing."""
    least = in_sync(replication)
    if least <= found <= max(least, replication):
        return []
    return [Drift(topic, MIN_IN_SYNC, f"from {least} to {max(least, replication)}", str(found))]
