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


class Container:
    """Stands for testcontainers' DockerContainer."""

    failure: OSError | None = None
    last: Container

    def __init__(self, image: str) -> None:
        self.image, self.settings, self.ports, self.stopped = image, {}, {}, False
        Container.last = self

    def get_container_host_ip(self) -> str:
        return "10.0.0.7"

    def with_bind_ports(self, inside: int, outside: int) -> None:
        self.ports[inside] = outside

    def with_env(self, name: str, value: str) -> None:
        self.settings[name] = value

    def start(self) -> None:
        if self.failure:
            raise self.failure

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> type[Container]:
    module = types.SimpleNamespace(DockerContainer=Container)
    monkeypatch.setattr(choice.importlib, "import_module", lambda name: module)
    return Container


def test_a_container_is_told_what_the_embedded_broker_is_told(
    container: type[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(choice, "await_metadata", asked.append)
    with choice.docker_broker() as running:
        own = container.last
        (port,) = own.ports
        assert own.ports == {port: port}
        assert running.bootstrap == f"10.0.0.7:{port}"
        assert asked == [running.bootstrap]
        assert own.settings["KAFKA_LISTENERS"] == f"PLAINTEXT://:{port},CONTROLLER://:9093"
        assert own.settings["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://10.0.0.7:{port}"
        assert own.settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
        assert own.settings["KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS"] == "1000"
        assert not any("{" in value for value in own.settings.values())
        assert not own.stopped
    assert own.stopped


def test_a_container_that_does_not_start_says_how_to_do_without(
    container: type[Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "failure", OSError("pull refused"))
    with pytest.raises(DockerBrokerFailed, match=r"pull refused.*TOCSIN_BROKER=embedded"), choice.docker_broker():
        pytest.fail("it did not start")


def test_a_container_that_stays_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "BROKER_START_MAX_S", 0.1)
    monkeypatch.setattr(choice, "metadata", lambda bootstrap: None)
    with pytest.raises(DockerBrokerFailed, match="no metadata"):
        choice.await_metadata("127.0.0.1:1")


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
