"""The table of topics, made and compared on a real broker. Names are the product's own, so each run has its own prefix."""

import dataclasses
import time
import types

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams import topics


@pytest.fixture
def table(monkeypatch, unique):
    prefix = unique("table") + "."
    renamed = tuple(dataclasses.replace(topic, name=prefix + topic.name) for topic in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", renamed)
    return {topic.name.removeprefix(prefix): topic for topic in renamed}


def test_what_is_missing_is_made_as_the_table_says_and_only_once(bootstrap, table):
    assert {drift.what for drift in topics.drift(bootstrap, 2)} == {"topic"}
    assert sorted(topics.ensure(bootstrap, 2)) == sorted(topic.name for topic in table.values())
    assert topics.ensure(bootstrap, 2) == []
    assert topics.drift(bootstrap, 2) == []


def test_drift_is_told_and_never_repaired(bootstrap, table):
    topics.ensure(bootstrap, 2)
    name = table["telemetry"].name
    change = ConfigEntry("message.timestamp.type", "CreateTime", incremental_operation=AlterConfigOpType.SET)
    admin = topics.admin(bootstrap)
    resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change])
    admin.incremental_alter_configs([resource])[resource].result(30)
    topics.ensure(bootstrap, 2)
    expected = topics.Drift(name, "message.timestamp.type", "LogAppendTime", "CreateTime")
    deadline = time.monotonic() + 10
    while (
        topics.drift(bootstrap, 2) != [expected] and time.monotonic() < deadline
    ):  # the broker takes its time to tell itself
        time.sleep(0.1)
    assert topics.drift(bootstrap, 2) == [expected]
    assert topics.Drift(name, "partitions", "3", "2") in topics.drift(bootstrap, 3)


def test_a_majority_has_to_acknowledge_and_no_more_than_there_are():
    assert [topics.in_sync(replication) for replication in range(1, 8)] == [1, 1, 2, 3, 3, 4, 4]


class Cluster:
    """An admin client's answers about topics of three replicas."""

    def __init__(self, replicas: int, in_sync: str) -> None:
        self.replicas, self.in_sync = replicas, in_sync

    def list_topics(self, timeout: float) -> types.SimpleNamespace:
        one = types.SimpleNamespace(partitions={0: types.SimpleNamespace(replicas=range(self.replicas))})
        return types.SimpleNamespace(topics={topic.name: one for topic in topics.TOPICS})

    def describe_configs(self, resources: list) -> dict:
        found = {}
        for resource in resources:
            (topic,) = [topic for topic in topics.TOPICS if topic.name == resource.name]
            config = {**topic.config, topics.MIN_IN_SYNC: self.in_sync}
            answer = {name: types.SimpleNamespace(value=value) for name, value in config.items()}
            found[resource] = types.SimpleNamespace(result=lambda _, answer=answer: answer)
        return found


@pytest.mark.parametrize(
    ("replicas", "in_sync", "wanted", "told"),
    [
        (1, "1", 1, None),
        (3, "2", 3, None),
        (3, "2", 1, ("min.insync.replicas", "from 1 to 1", "2")),  # of one replica two cannot acknowledge
        (3, "1", 3, ("min.insync.replicas", "from 2 to 3", "1")),
        (3, "4", 3, ("min.insync.replicas", "from 2 to 3", "4")),
        (1, "2", 3, ("replication", "at least 3", "1")),
        (5, "3", 3, None),  # more than was asked for
    ],
)
def test_replicas_and_acknowledgements_are_looked_at(monkeypatch, replicas, in_sync, wanted, told):
    monkeypatch.setattr(topics, "admin", lambda *_: Cluster(replicas, in_sync))
    found = topics.drift("nowhere", 1, wanted)
    assert {(one.what, one.expected, one.found) for one in found} == ({told} if told else set())
    assert len(found) == (len(topics.TOPICS) if told else 0)


def test_arrival_is_stamped_by_the_broker_and_state_is_compacted():
    by_name = {topic.name: topic.config for topic in topics.TOPICS}
    assert by_name["telemetry"]["message.timestamp.type"] == "LogAppendTime"
    assert int(by_name["telemetry"]["retention.ms"]) >= 24 * topics.HOUR_MS
    for name, config in by_name.items():
        if name.startswith(topics.STATE_PREFIX):
            assert config["cleanup.policy"] == "compact"
            assert "retention.ms" not in config


def test_an_unreachable_broker_is_an_answer(monkeypatch):
    monkeypatch.setattr(topics, "TIMEOUT_S", 0.5)
    with pytest.raises(topics.TopicsUnavailable, match=r"127\.0\.0\.1:9"):
        topics.ensure("127.0.0.1:9", 2)
    with pytest.raises(topics.TopicsUnavailable, match=r"127\.0\.0\.1:9"):
        topics.drift("127.0.0.1:9", 2)


class Coordinating:
    """A consumer to whom a cluster that has just been made answers, in turn."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def committed(self, places, timeout):
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise KafkaException(KafkaError(answer))
        return places

    def close(self):
        """Nothing is open."""


def test_a_coordinator_that_is_only_just_being_made_is_waited_for(monkeypatch):
    found = Coordinating(KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, None)
    monkeypatch.setattr(topics, "Consumer", lambda config: found)
    topics._wait_for_coordinator("here:1")
    assert found.answers == [None]


@pytest.mark.parametrize("code", [KafkaError.NOT_COORDINATOR, KafkaError.GROUP_AUTHORIZATION_FAILED])
def test_one_that_never_comes_or_must_not_be_asked_is_an_error(monkeypatch, code):
    monkeypatch.setattr(topics, "Consumer", lambda config: Coordinating(code))
    monkeypatch.setattr(topics, "TIMEOUT_S", 0.2)
    with pytest.raises(topics.TopicsUnavailable, match="no group coordinator"):
        topics._wait_for_coordinator("here:1")
