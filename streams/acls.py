"""ACLs: who needs to do what, on which topic and group, in one table.

What: the roles of the platform and the grants of each, out of the table of topics; as `kafka-acls` takes them; and what
a broker says that a principal lacks of them. Why: with a broker that denies by default, nobody should find out by
trying; and a worker that lacks one thing is better told at its start. It refuses to grant anything: a person does.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from enum import Enum
from typing import Final, Literal

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConsumerGroupDescription, TopicDescription  # type: ignore[attr-defined]  # re-exports not declared

from streams import topics
from streams.topics import TOPICS

Kind = Literal["topic", "group"]
READ: Final = "Read"
WRITE: Final = "Write"
CREATE: Final = "Create"
DELETE: Final = "Delete"
DESCRIBE: Final = "Describe"
DESCRIBE_CONFIGS: Final = "DescribeConfigs"
VERBS: Final = (READ, WRITE, CREATE, DELETE, DESCRIBE, DESCRIBE_CONFIGS)
_OPERATIONS: Final[Mapping[str, AclOperation]] = {
    READ: AclOperation.READ,
    WRITE: AclOperation.WRITE,
    CREATE: AclOperation.CREATE,
    DELETE: AclOperation.DELETE,
    DESCRIBE: AclOperation.DESCRIBE,
    DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}
#: The broker says so by an error: not allowed even to know of it; and not there.
DENIED: Final = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED})
ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND})
#: Groups of the commands that only look, and topics of `tocsin doctor`'s probe.
CLI_GROUPS: Final = "tocsin-cli-"
PROBE_TOPICS: Final = "tocsin.doctor."
FLEET_NAMESPACE: Final = "tesla_telemetry"  # of fleet-telemetry's topics, by default


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """Verbs on one resource, or on all whose names begin so. Read and Write bring Describe with them, in Kafka too."""

    kind: Kind
    name: str
    verbs: tuple[str, ...]
    prefixed: bool = False

    def allows(self, kind: Kind, name: str, verb: str) -> bool:
        """Whether it covers a verb on a resource."""
        fits = name.startswith(self.name) if self.prefixed else name == self.name
        implied = verb == DESCRIBE and bool({READ, WRITE, DELETE} & set(self.verbs))
        return kind == self.kind and fits and (verb in self.verbs or implied)


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """What one kind of principal may do, and nothing else."""

    name: str
    what: str
    grants: tuple[Grant, ...]

    def allows(self, kind: Kind, name: str, verb: str) -> bool:
        """Whether any grant covers it."""
        return any(grant.allows(kind, name, verb) for grant in self.grants)


def on_topics(verbs: tuple[str, ...], *names: str) -> tuple[Grant, ...]:
    """The same verbs on several topics."""
    return tuple(Grant("topic", name, verbs) for name in names)


def roles(application: str = "tocsin") -> dict[str, Role]:
    """Every role by name. `application`: TOCSIN_APPLICATION of the workers, whose groups it names."""
    every = tuple(topic.name for topic in TOPICS)
    states = tuple(name for name in every if name.startswith(topics.STATE_PREFIX))
    views = (topics.ROLLUPS, topics.SLO_STATUS, topics.ALERTS, topics.INCIDENTS, topics.NOTIFICATIONS)
    both = (topics.PARTIALS, topics.ALERTS, *states)
    reads = (topics.TELEMETRY, topics.COMMANDS)
    writes = tuple(name for name in every if name not in (*both, *reads, topics.LOGS))
    looks = Grant("group", CLI_GROUPS, (READ,), prefixed=True)
    found = (
        Role(
            "emitter",
            "a service with the client, straight to Kafka",
            on_topics((WRITE,), topics.TELEMETRY, topics.LOGS),
        ),
        Role("gateway", "`tocsin gateway`", on_topics((WRITE,), topics.TELEMETRY, topics.LOGS)),
        Role(
            "worker",
            "`tocsin worker`",
            (
                *on_topics((READ, WRITE, DESCRIBE_CONFIGS), *both),
                *on_topics((READ, DESCRIBE_CONFIGS), *reads),
                *on_topics((WRITE, DESCRIBE_CONFIGS), *writes),
                *on_topics((DESCRIBE, DESCRIBE_CONFIGS), topics.LOGS),  # it says where a topic differs from the table
                Grant("group", application, (READ,)),
                Grant("group", f"{application}.state.", (READ,), prefixed=True),
            ),
        ),
        Role(
            "fleet",
            f"`tocsin fleet`, of the namespace {FLEET_NAMESPACE}",
            (
                *on_topics((WRITE,), topics.TELEMETRY, topics.LOGS, topics.DLQ),
                Grant("topic", f"{FLEET_NAMESPACE}_", (READ,), prefixed=True),
                Grant("topic", f"{topics.STATE_PREFIX}fleet-", (READ, WRITE, CREATE), prefixed=True),
                Grant("group", f"{application}.fleet", (READ,), prefixed=True),
            ),
        ),
        Role(
            "analyst",
            "who reads what was aggregated: `tocsin slo`, `explain`, `tail`, programs with a group `analyst-…`",
            (*on_topics((READ,), *views), looks, Grant("group", "analyst-", (READ,), prefixed=True)),
        ),
        Role(
            "operator",
            "who makes and looks at topics, reads all of them, and asks: `tocsin topics`, `ack`, `resolve`, `doctor`",
            (
                *on_topics((READ, CREATE, DESCRIBE_CONFIGS), *(name for name in every if name != topics.COMMANDS)),
                Grant("topic", topics.COMMANDS, (READ, WRITE, CREATE, DESCRIBE_CONFIGS)),
                Grant("topic", PROBE_TOPICS, (WRITE, CREATE, DELETE), prefixed=True),
                Grant("group", topics.GROUP, (DESCRIBE,)),
                looks,
            ),
        ),
    )
    return {role.name: role for role in found}


def commands(role: Role, principal: str) -> Iterator[str]:
    """The lines that grant it, for `kafka-acls`; where and as whom it is run stays to be added."""
    for grant in role.grants:
        words = ["kafka-acls", "--add", "--allow-principal", principal]
        for verb in grant.verbs:
            words += ["--operation", verb]
        words += [f"--{grant.kind}", grant.name]
        yield shlex.join(words + (["--resource-pattern-type", "prefixed"] if grant.prefixed else []))


@dataclasses.dataclass(frozen=True, slots=True)
class Lack:
    """A verb that is needed and not allowed."""

    kind: Kind
    name: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} on {self.kind} {self.name}"


def lacking(client: AdminClient, role: Role, timeout_s: float) -> list[Lack]:
    """What a broker does not allow of a role to whoever the client is. A topic that is not there is not judged, nor is a
    prefix. Raises KafkaException, TimeoutError."""
    named = [grant for grant in role.grants if not grant.prefixed]
    wanted = [grant.name for grant in named if grant.kind == "topic"]
    groups = [grant.name for grant in named if grant.kind == "group"]
    answers: dict[tuple[str, str], Future[TopicDescription] | Future[ConsumerGroupDescription]] = {}
    asks = {"include_authorized_operations": True, "request_timeout": timeout_s}
    found = client.describe_topics(TopicCollection(wanted), **asks)
    answers |= {("topic", name): answer for name, answer in found.items()}
    if groups:
        described = client.describe_consumer_groups(groups, **asks)
        answers |= {("group", name): answer for name, answer in described.items()}
    lacks: list[Lack] = []
    for grant in named:
        allowed = _allowed(answers[grant.kind, grant.name], timeout_s)
        if allowed is not None:
            lacks += [Lack(grant.kind, grant.name, verb) for verb in grant.verbs if _OPERATIONS[verb] not in allowed]
    return lacks


def _allowed(
    answer: Future[TopicDescription] | Future[ConsumerGroupDescription], timeout_s: float
) -> frozenset[Enum] | None:
    """Operations that are allowed; None where there is nothing to judge."""
    try:
        return frozenset(answer.result(timeout_s).authorized_operations or ())
    except KafkaException as error:
        if error.args[0].code() in DENIED:
            return frozenset()
        if error.args[0].code() in ABSENT:
            return None
        raise
