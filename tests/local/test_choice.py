"""The choice of broker: what was asked for is used or refused, never replaced."""

from __future__ import annotations

import socket
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local import choice, process
from local.choice import Running, broker
from local.errors import ChoiceUnknown, DockerBrokerFailed, GivenBrokerSilent


@pytest.fixture(autouse=True)
def nothing_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_BOOTSTRAP", "TOCSIN_BROKER", "TOCSIN_HOME", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)


def test_a_given_broker_is_used_as_it_is(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", bootstrap)
    with broker() as running:
        assert running == Running(bootstrap, "given", True)


def test_a_given_broker_that_is_silent_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP", f"127.0.0.1:{process.free_port()}")
    with pytest.raises(GivenBrokerSilent, match="unset it"), broker():
        pytest.fail("nothing listens there")


def test_a_word_that_is_no_choice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_BROKER", "podman")
    with pytest.raises(ChoiceUnknown, match="podman"), broker():
        pytest.fail("no such choice")


def test_docker_goes_first_when_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def contained() -> Iterator[Running]:
        yield Running("127.0.0.1:1", "docker", False)

    monkeypatch.setattr(choice, "docker_answers", lambda: True)
    monkeypatch.setattr(choice, "docker_broker", contained)
    with broker() as running:
        assert running.kind == "docker"


def test_a_container_that_does_not_start_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    class Container:
        def __init__(self, image: str) -> None:
            self.settings: dict[str, str] = {}

        def with_kraft(self) -> Container:
            return self

        def with_env(self, name: str, value: str) -> None:
            self.settings[name] = value

        def start(self) -> None:
            assert self.settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
            raise OSError("pull refused")

    module = types.SimpleNamespace(KafkaContainer=Container)
    monkeypatch.setattr(choice.importlib, "import_module", lambda name: module)
    with pytest.raises(DockerBrokerFailed, match=r"pull refused.*TOCSIN_BROKER=embedded"), choice.docker_broker():
        pytest.fail("it did not start")


def test_a_docker_host_is_looked_at_where_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    assert not choice.docker_listens()
    assert not choice.docker_answers()
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:no-port")
    assert not choice.docker_listens()
    with socket.socket() as listening:
        listening.bind((process.LOOPBACK, 0))
        listening.listen()
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        assert choice.docker_listens()


def test_the_home_is_in_the_tree_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choice.home_dir() == Path(choice.__file__).parent.parent / ".tocsin"
    monkeypatch.setenv("TOCSIN_HOME", "/elsewhere")
    assert choice.home_dir() == Path("/elsewhere")
