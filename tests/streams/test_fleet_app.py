"""The wiring of an adapter's process, and what stops its start. No broker is asked."""

import pytest

from access.environment import BadSettings
from fleet.adapter import Kind
from fleet.mapping import BadMapping
from streams import app as shell
from streams import errors, fleet_app, topics
from streams.fleet import FleetStep
from streams.fleet_settings import CHUNK_RECORDS, FleetSettings
from streams.settings import Settings
from streams.transport import ChunkTransport
from tests.streams.stand_ins import FakeProducer

SETTINGS = Settings(bootstrap="127.0.0.1:1", partitions=2, replication=3)
FLEET = FleetSettings(namespace="cars")


@pytest.fixture
def broker(monkeypatch):
    """What a broker has, and what it was asked to make."""
    known, made = {"telemetry": 2, "logs": 2}, []
    monkeypatch.setattr(topics, "partitions_of", lambda *_: known)
    monkeypatch.setattr(topics, "ensure", lambda *given: made.append(given))
    return known, made


@pytest.fixture
def ended():
    return []


def prepared(ended):
    return fleet_app.prepared(SETTINGS, FLEET, lambda *given: ended.append(given))


def test_topics_that_are_there_are_read_and_their_state_has_as_many_partitions(broker, ended):
    known, made = broker
    known |= {"cars_V": 8, "cars_connectivity": 3, "others_V": 1}
    assert prepared(ended) == [Kind.SIGNALS, Kind.CONNECTIVITY]
    assert [(given[1], given[2], given[4][0].name) for given in made] == [
        (8, 3, "tocsin.state.fleet-cars_V"), (3, 3, "tocsin.state.fleet-cars_connectivity"),
    ]  # fmt: skip
    assert all(given[4][0].compact for given in made)
    assert not ended


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ({}, "cars_V, cars_alerts, cars_errors, cars_connectivity"),
        ({"cars_V": 4, "tocsin.state.fleet-cars_V": 2}, "has 2 partitions, cars_V has 4"),
    ],
)
def test_what_only_a_person_can_mend_stops_the_start(broker, ended, there, said):
    broker[0].update(there)
    prepared(ended)
    ((code, told),) = ended
    assert code == errors.EXIT_PERSON
    assert said in told


def test_without_our_own_topics_nothing_starts(broker, ended):
    known, _ = broker
    known.clear()
    known |= {"cars_V": 4, "telemetry": 2}
    assert not prepared(ended)
    assert "does not have logs" in ended[0][1]
    assert "tocsin topics create" in ended[0][1]
    del known["telemetry"]
    assert not prepared(ended)
    assert "does not have telemetry and logs" in ended[1][1]


def test_a_broker_that_is_away_is_worth_another_try(monkeypatch, ended):
    def away(*_):
        raise topics.BrokerUnreachable("broker 127.0.0.1:1: nobody answers")

    monkeypatch.setattr(topics, "partitions_of", away)
    assert not prepared(ended)
    assert ended[0][0] == errors.EXIT_RESTART


def test_a_stage_for_each_topic_with_steps_that_take_less_at_once(monkeypatch):
    found = []
    monkeypatch.setattr(shell, "Producer", lambda *_, **__: FakeProducer([]))
    monkeypatch.setattr(ChunkTransport, "configure", lambda *given, **_: found.append(given[2]))
    monkeypatch.setattr(shell.fetching, "bound", lambda *_: None)
    worker = fleet_app.FleetWorker(SETTINGS, FLEET, [Kind.SIGNALS, Kind.ALERTS])
    assert [(stage.name, stage.topic) for stage in worker.stages] == [
        ("fleet-cars_V", "cars_V"), ("fleet-cars_alerts", "cars_alerts"),
    ]  # fmt: skip
    assert {type(stage._make_step(1)) for stage in worker.stages} == {FleetStep}
    assert {agent.channel.topics[0] for agent in worker.app.agents.values()} == {"cars_V", "cars_alerts"}
    assert worker.app.conf.id == "tocsin.fleet"
    assert found == [CHUNK_RECORDS]


def test_a_mapping_of_ones_own(tmp_path):
    path = tmp_path / "mapping.toml"
    with pytest.raises(BadSettings, match="TOCSIN_FLEET_MAPPING_PATH"):
        fleet_app.mapping_of(FleetSettings(mapping_path=path))
    path.write_text("[signals]\nSoc = {metric = 'charge'}")
    assert fleet_app.mapping_of(FleetSettings(mapping_path=path)).rules[8].metric == "charge"
    path.write_text("[signals]\nSox = {metric = 'charge'}")
    with pytest.raises(BadMapping):
        fleet_app.mapping_of(FleetSettings(mapping_path=path))
