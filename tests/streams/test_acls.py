"""The table of grants: least privilege by hand, against a table that would only agree with itself."""

from __future__ import annotations

import itertools
import shlex

import pytest

from streams import acls, topics
from streams.acls import CREATE, DELETE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE

ROLES = acls.roles()
EVERY = {topic.name for topic in topics.TOPICS}


def may(role: str, verb: str) -> set[str]:
    return {name for name in EVERY if ROLES[role].allows("topic", name, verb)}


def test_who_may_write_what():
    assert may("emitter", WRITE) == may("gateway", WRITE) == {"telemetry", "logs"}
    assert may("worker", WRITE) == EVERY - {"telemetry", "commands", "logs"}
    assert may("fleet", WRITE) == {"telemetry", "logs", "telemetry.dlq"}
    assert may("analyst", WRITE) == set()
    assert may("operator", WRITE) == {"commands"}


def test_who_may_read_what():
    assert may("emitter", READ) == may("gateway", READ) == set()
    states = {name for name in EVERY if name.startswith("tocsin.state.")}
    assert may("worker", READ) == {"telemetry", "telemetry.partials", "alerts", "commands", *states}
    assert may("analyst", READ) == {"telemetry.rollups", "slo.status", "alerts", "incidents", "notifications"}
    assert may("operator", READ) == EVERY


def test_who_may_do_the_rest():
    assert all(may(role, DELETE) == set() for role in ROLES)
    assert {role for role in ROLES if may(role, CREATE)} == {"operator"}
    assert {role for role in ROLES if may(role, DESCRIBE_CONFIGS) == EVERY} == {"worker", "operator"}
    assert may("emitter", DESCRIBE) == {"telemetry", "logs"}, "Write brings it"


def test_an_adapter_reads_its_namespace_and_keeps_its_own_state():
    fleet = acls.roles("shop")["fleet"]
    assert fleet.allows("topic", "tesla_telemetry_V", READ)
    assert fleet.allows("topic", topics.state("fleet-tesla_telemetry_V").name, CREATE)
    assert fleet.allows("group", "shop.fleet", READ)
    assert not fleet.allows("topic", topics.state("merge").name, READ)


def test_groups_are_named_by_the_application():
    worker = acls.roles("shop")["worker"]
    assert worker.allows("group", "shop", READ)
    assert worker.allows("group", "shop.state.merge", READ)
    assert not worker.allows("group", "tocsin", READ)
    assert not worker.allows("topic", "shop", READ)
    assert not ROLES["emitter"].allows("group", "tocsin", READ)


@pytest.mark.parametrize("role", ROLES.values(), ids=lambda role: role.name)
def test_every_grant_is_a_line_for_kafka_acls(role):
    lines = [shlex.split(line) for line in acls.commands(role, "User:CN=a b")]
    assert len(lines) == len(role.grants)
    for words, grant in zip(lines, role.grants, strict=True):
        assert words[:4] == ["kafka-acls", "--add", "--allow-principal", "User:CN=a b"]
        assert words[words.index(f"--{grant.kind}") + 1] == grant.name
        assert tuple(word for before, word in itertools.pairwise(words) if before == "--operation") == grant.verbs
        assert ("prefixed" in words) is grant.prefixed
