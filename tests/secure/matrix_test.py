"""The matrix on a real broker: each role on each topic and group, each operation; what is not granted is refused.

What a broker says that it would allow is asked for all operations at once; reading and writing are tried as well.
"""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import AclOperation, NewTopic

from streams import acls, topics
from streams.acls import DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE
from tests.secure.cluster import _VERBS, ANSWER_S, Cluster, security

FOREIGN = "somebody.elses"
PROBE = f"{acls.PROBE_TOPICS}x"
NOBODY = acls.Role("nobody", "without grants", ())
ROLES = {**acls.roles(), NOBODY.name: NOBODY}
GROUPS = ("tocsin", "tocsin.state.merge", "tocsin.topics", "tocsin-cli-1", "analyst-1", "tocsin2", "others")
DENIED = {KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED}
#: Kafka's own operations on a topic and on a group; the rest of the table has names here too.
OF_TOPICS = {*_VERBS.values(), AclOperation.ALTER, AclOperation.ALTER_CONFIGS}
OF_GROUPS = {_VERBS[READ], _VERBS[DESCRIBE], AclOperation.DELETE}


@pytest.fixture(scope="module")
def principals(secured: Cluster) -> dict[str, dict[str, str]]:
    """Options of a client by role; the topic of somebody else is there."""
    for answer in secured.admin.create_topics([NewTopic(FOREIGN, 1), NewTopic(PROBE, 1)]).values():
        answer.result(ANSWER_S)
    found = {}
    for name, role in ROLES.items():
        if role.grants:
            secured.grant(f"User:m-{name}", role)
        found[name] = secured.user(f"m-{name}")
    return found


def expected(role: acls.Role, kind: acls.Kind, name: str) -> set[AclOperation]:
    return {operation for verb, operation in _VERBS.items() if role.allows(kind, name, verb)}


def allowed(answer) -> set[AclOperation]:
    try:
        return set(answer.result(ANSWER_S).authorized_operations or ())
    except KafkaException as error:
        if error.args[0].code() not in DENIED:
            raise
        return set()


@pytest.mark.parametrize("name", ROLES)
def test_the_broker_allows_what_the_table_says_and_nothing_else(secured, principals, name):
    client = topics.admin(secured.sasl, security(principals[name]))
    names = [topic.name for topic in topics.TOPICS] + [FOREIGN, PROBE]
    answers = client.describe_topics(TopicCollection(names), include_authorized_operations=True)
    found = {topic: allowed(answer) & OF_TOPICS for topic, answer in answers.items()}
    assert found == {topic: expected(ROLES[name], "topic", topic) for topic in names}
    groups = client.describe_consumer_groups(list(GROUPS), include_authorized_operations=True)
    found = {group: allowed(answer) & OF_GROUPS for group, answer in groups.items()}
    assert found == {group: expected(ROLES[name], "group", group) for group in GROUPS}


@pytest.mark.parametrize("name", ROLES)
def test_reading_and_writing_are_tried(secured, principals, name):
    names = [topic.name for topic in topics.TOPICS] + [FOREIGN]
    config = {"bootstrap.servers": secured.sasl, "log_level": 0, **security(principals[name]).librdkafka()}
    written = tried_to_write(config, names)
    assert written == {topic for topic in names if ROLES[name].allows("topic", topic, WRITE)}
    readable = {topic for topic in names if ROLES[name].allows("topic", topic, READ)}
    group = {"analyst": "analyst-m", "operator": f"{acls.CLI_GROUPS}m"}.get(name, "tocsin.state.m")
    assert tried_to_read({**config, "group.id": group}, names) == readable


def tried_to_write(config: dict, names: list[str]) -> set[str]:
    """Topics that took a record; of the others the broker said that it may not be."""
    producer, done, denied = Producer({**config, "acks": "all"}), set(), set()

    def answered(error: KafkaError | None, message) -> None:
        if error is None:
            done.add(message.topic())
        else:
            assert error.code() in DENIED, error
            denied.add(message.topic())

    for topic in names:
        try:
            producer.produce(topic, b"tried", b"key", on_delivery=answered)
        except KafkaException as error:
            if error.args[0].code() not in DENIED:
                raise
            denied.add(topic)
    assert producer.flush(ANSWER_S) == 0
    assert done | denied == set(names)
    return done


def tried_to_read(config: dict, names: list[str]) -> set[str]:
    """Topics whose partition 0 was read to its end; of the others the broker said that it may not be."""
    consumer = Consumer({**config, "enable.partition.eof": True, "enable.auto.commit": False})
    done, denied = set(), set()
    try:
        for topic in names:  # whoever may not even know of it finds no leader to ask
            error = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].error
            if error is not None and error.code() in DENIED:
                denied.add(topic)
        consumer.assign([TopicPartition(topic, 0, 0) for topic in names if topic not in denied])
        while done | denied != set(names):
            message = consumer.poll(ANSWER_S)
            assert message is not None, f"no word of {set(names) - done - denied}"
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                done.add(message.topic())
            elif error is not None and error.code() in DENIED and message.topic() in names:
                denied.add(message.topic())
        return done
    finally:
        consumer.close()


def test_a_role_is_told_what_it_lacks(secured, principals):
    """The same table, asked the other way round: what a worker would miss with the grants of another role."""
    client = topics.admin(secured.sasl, security(principals["operator"]))
    lacks = set(map(str, acls.lacking(client, ROLES["worker"], ANSWER_S)))
    assert "Write on topic telemetry.partials" in lacks
    assert "Read on group tocsin" in lacks
    assert not any(word in lack for lack in lacks for word in ("Read on topic", DESCRIBE_CONFIGS))
    client = topics.admin(secured.sasl, security(principals["worker"]))
    assert acls.lacking(client, ROLES["worker"], ANSWER_S) == []
