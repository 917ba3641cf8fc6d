"""The wiring: what a worker reads, what Faust is left to do, and what stops a start. No broker is asked."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from access.environment import BadSettings
from alerts.config import BadConfig
from demo.workers import ROOT
from sinks.channels import BadChannels
from streams import app as shell
from streams import topics
from streams.aggregate import AggregateStep
from streams.errors import EXIT_PERSON, EXIT_RESTART
from streams.merge import MergeStep
from streams.notify import NotifyStep
from streams.settings import Settings
from streams.transport import ChunkTransport
from tests.streams.stand_ins import FakeProducer

SLOS = ROOT / "examples" / "slos"
CHANNELS = "channels:\n  - {name: hook, kind: webhook, url: http://127.0.0.1:1/}\n"
ROUTES = "receivers:\n  - {name: team, channels: [%s]}\ndefault: [team]\n"


def settings(**changed) -> Settings:
    return Settings(bootstrap="127.0.0.1:1", slo_path=SLOS, partitions=3, **changed)


@pytest.fixture(autouse=True)
def without_a_broker(monkeypatch) -> list:
    """No connection, and nothing left behind in the classes that the wiring sets up; what it set up."""
    found: list = []
    monkeypatch.setattr(shell, "Producer", lambda *_, **__: FakeProducer([]))
    monkeypatch.setattr(ChunkTransport, "configure", lambda *given, **_: found.append(given[2:4]))
    monkeypatch.setattr(shell.fetching, "bound", lambda most, *_: found.append(most))
    return found


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    (tmp_path / "channels.yaml").write_text(CHANNELS)
    (tmp_path / "routes.yaml").write_text(ROUTES % "hook")
    return {"channels_path": tmp_path / "channels.yaml", "routes_path": tmp_path / "routes.yaml"}


@pytest.fixture
def worker(files) -> shell.Worker:
    return shell.Worker(settings(**files))


def test_three_stages_each_with_its_topic_and_steps(worker):
    assert [(stage.name, stage.topic) for stage in worker.stages] == [
        ("aggregate", topics.TELEMETRY),
        ("merge", topics.PARTIALS),
        ("notify", topics.ALERTS),
    ]
    made = [type(stage._make_step(2)) for stage in worker.stages]
    assert made == [AggregateStep, MergeStep, NotifyStep]


def test_the_bounds_of_the_settings_reach_the_transport(without_a_broker):
    shell.Worker(settings(max_chunk_records=11, max_chunk_bytes=1 << 17, max_decompressed_bytes=1 << 21))
    assert without_a_broker == [(11, 1 << 17), 1 << 21]


def test_the_pace_of_the_settings_reaches_every_stage():
    worker = shell.Worker(settings(checkpoint_s=0.25, max_unsaved_records=12, max_unsaved_bytes=3 << 20))
    for stage in worker.stages:
        assert (stage.pace.checkpoint_s, stage.pace.max_unsaved_records, stage.pace.max_unsaved_bytes) == (
            0.25, 12, 3 << 20,
        )  # fmt: skip


def test_four_agents_read_raw_topics_with_the_same_partitions(worker):
    names = {agent.channel.topics[0]: agent for agent in worker.app.agents.values()}
    assert set(names) == {topics.TELEMETRY, topics.PARTIALS, topics.ALERTS, topics.COMMANDS}
    for agent in names.values():
        assert agent.channel.partitions == 3
        assert agent.channel.key_type is None
        assert agent.channel.schema.value_serializer == "raw"


def test_faust_is_left_without_state_changelogs_topics_and_web():
    conf = shell.faust_app(settings(instance="worker-7", session_timeout_s=4.0)).conf
    assert str(conf.store) == "memory:"
    assert (conf.topic_disable_leader, conf.topic_allow_declare, conf.web_enabled) == (True, False, False)
    assert (conf.stream_wait_empty, conf.processing_guarantee.value) == (False, "at_least_once")
    assert (conf.consumer_group_instance_id, conf.broker_session_timeout) == ("worker-7", 4.0)
    assert conf.agent_supervisor.__name__ == "CrashingSupervisor"
    assert not conf.autodiscover


def test_every_given_broker_is_known():
    app = shell.faust_app(settings().model_copy(update={"bootstrap": "a:1,b:2"}))
    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert isinstance(app.transport, ChunkTransport)
    assert [str(url) for url in app.transport.url] == ["kafka://a:1", "kafka://b:2"]


async def test_a_restore_asks_the_stage_of_the_topic(worker, monkeypatch):
    async def restored(partition: int) -> int:
        return 41 + partition

    monkeypatch.setattr(worker.stages[1], "restore", restored)
    assert await worker._restore(topics.PARTIALS, 1) == 42
    assert await worker._restore(topics.COMMANDS, 1) is None  # no state: Kafka's own commit decides


async def test_an_assignment_reaches_every_stage(worker):
    await worker._assigned({(topics.TELEMETRY, 0), (topics.TELEMETRY, 2), (topics.ALERTS, 1), (topics.COMMANDS, 1)})
    assert [sorted(stage.assigned) for stage in worker.stages] == [[0, 2], [], [1]]
    assert [stage.assignments for stage in worker.stages] == [1, 1, 1]


async def test_the_last_checkpoints_are_made_in_the_order_of_the_path(worker, monkeypatch):
    made = []
    for stage in worker.stages:

        async def finish(name: str = stage.name) -> None:
            made.append(name)

        monkeypatch.setattr(stage, "finish", finish)
    await worker._finish()
    assert made == ["aggregate", "merge", "notify"]


def test_a_settled_delivery_hurries_the_stage_that_records_it(worker):
    assert not worker.stages[2]._urgent.is_set()
    worker._delivered()
    assert [stage._urgent.is_set() for stage in worker.stages] == [False, False, True]


def test_without_channels_alerts_are_recorded_and_nobody_is_told():
    assert not shell.Worker(settings()).delivery._sinks


def test_files_that_are_not_there_are_named_with_their_settings(tmp_path):
    nowhere = tmp_path / "nowhere.yaml"
    with pytest.raises(BadSettings) as error:
        shell.Worker(settings(channels_path=nowhere, routes_path=nowhere))
    assert error.value.problems == [f"TOCSIN_{name}_PATH: there is no {nowhere}" for name in ("CHANNELS", "ROUTES")]


def test_mistakes_in_files_are_told_without_a_traceback(tmp_path):
    slos = tmp_path / "slo.yaml"
    slos.write_text("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {}\n")
    environment = {**os.environ, "TOCSIN_SLO_PATH": str(slos), "TOCSIN_BOOTSTRAP": "127.0.0.1:1"}
    done = subprocess.run(
        [sys.executable, "-m", "streams", "worker"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"{slos}:4:7: spec of SLO lacks the field 'service'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("routes_path", ROUTES % "hok", BadConfig, "hook"),
        ("channels_path", CHANNELS.replace("webhook", "webhok"), BadChannels, "webhok"),
    ],
)
def test_a_mistake_in_a_file_stops_the_start(files, name, text, error, said):
    files[name].write_text(text)
    with pytest.raises(error, match=said):
        shell.Worker(settings(**files))


def test_a_mistake_in_an_slo_stops_the_start(tmp_path):
    (tmp_path / "slo.yaml").write_text("apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {}\n")
    with pytest.raises(BadConfig):
        shell.Worker(settings().model_copy(update={"slo_path": tmp_path}))


def test_topics_that_do_not_fit_stop_the_start_and_others_are_said(monkeypatch):
    asked, ended = [], []
    answer = [topics.Drift("telemetry", "replication", "at least 3", "1")]

    def drift(*given) -> list[topics.Drift]:
        asked.append(given[:3])
        return answer

    monkeypatch.setattr(topics, "drift", drift)
    shell.look_at_topics(settings(replication=3), lambda *given: ended.append(given))
    assert (asked, ended) == ([("127.0.0.1:1", 3, 3)], [])
    answer += [topics.Drift("alerts", "topic", "present", "missing"), topics.Drift("commands", "partitions", "3", "4")]
    shell.look_at_topics(settings(), lambda *given: ended.append(given))
    ((code, said),) = ended
    assert code == EXIT_PERSON
    assert "alerts: topic is missing" in said
    assert "commands: partitions is 4, should be 3" in said
    assert "tocsin topics create" in said


def test_a_broker_that_is_not_there_yet_is_worth_another_try(monkeypatch):
    ended = []
    monkeypatch.setattr(shell, "START_LOOK_S", 0.1)
    shell.look_at_topics(settings(), lambda *given: ended.append(given))
    ((code, said),) = ended
    assert (code, "127.0.0.1:1" in said, "tocsin doctor" in said) == (EXIT_RESTART, True, True)


def test_topics_that_a_worker_may_not_describe_stop_nothing(monkeypatch):
    def drift(*_) -> list[topics.Drift]:
        raise topics.TopicsUnavailable("forbidden")

    ended = []
    monkeypatch.setattr(topics, "drift", drift)
    shell.look_at_topics(settings(), lambda *given: ended.append(given))
    assert ended == []


def test_health_is_this_machines_own_unless_somebody_says_otherwise(monkeypatch):
    served = []
    monkeypatch.setattr(shell.health, "serve", lambda port, _stages, _watchdog, host: served.append((host, port)))
    shell.Worker(settings(health_port=9))
    shell.Worker(settings(health_port=9, health_host="0.0.0.0"))  # what the image sets
    shell.Worker(settings())
    assert served == [("127.0.0.1", 9), ("0.0.0.0", 9)]


def test_an_address_that_cannot_be_had_is_a_bad_setting():
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(BadSettings, match=r"TOCSIN_HEALTH_HOST, TOCSIN_HEALTH_PORT: 127\.0\.0\.1:\d+ cannot be had"),
    ):
        shell.Worker(settings(health_port=taken.getsockname()[1]))
