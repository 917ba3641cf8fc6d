"""The table of topics, made and compared on a real broker. Names are the product's own, so each run has its own prefix."""

import dataclasses
import time

import pytest
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
