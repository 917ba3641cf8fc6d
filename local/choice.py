"""Choice: which broker this run uses.

What: `broker()` answers with KAFKA_BOOTSTRAP's if that is set, else with one in Docker if a daemon answers at once,
else with an embedded one. Why: the same demo and the same tests run on a laptop, in CI and against a cluster. It
refuses to fall through silently: a broker that was asked for and does not answer is an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import importlib.util
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from local.errors import ChoiceUnknown, DockerBrokerFailed, GivenBrokerSilent
from local.java import Progress, silent
from local.kafka import KAFKA_VERSION, EmbeddedBroker, Seat, metadata, settings_of
from local.limits import BROKER_START_MAX_S, DOCKER_ANSWER_MAX_S, METADATA_MAX_S, POLL_S
from local.process import free_port

#: Kafka's own image, of the version that is embedded otherwise.
DOCKER_IMAGE = f"apache/kafka:{KAFKA_VERSION}"
#: The controller's port inside the container, which nobody outside uses.
CONTAINER_CONTROLLER_PORT = 9093
#: Where a Docker daemon listens unless DOCKER_HOST says otherwise.
DOCKER_SOCKET = "/var/run/docker.sock"


@dataclasses.dataclass(frozen=True, slots=True)
class Running:
    """A broker that answers: where, of which kind, and whether it was running before; `embedded` when it is ours."""

    bootstrap: str
    kind: Literal["given", "docker", "embedded"]
    reused: bool
    embedded: EmbeddedBroker | None = None


def home_dir() -> Path:
    """Where brokers keep their files: TOCSIN_HOME, else `.tocsin` in the project's directory."""
    given = os.environ.get("TOCSIN_HOME")
    return Path(given) if given else Path(__file__).resolve().parent.parent / ".tocsin"


@contextlib.contextmanager
def broker(progress: Progress = silent, directory: Path | None = None, keep: bool = False) -> Iterator[Running]:
    """A broker for the length of the block.

    One that was running before is left running. `directory` (default `home_dir()/kafka`) and `keep` are for the
    embedded one: with `keep` it stays after the block, to be found and reused by the next.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP", "")
    choice = os.environ.get("TOCSIN_BROKER") or "auto"
    if choice not in ("auto", "docker", "embedded"):
        raise ChoiceUnknown(given=choice)
    if given:
        yield given_broker(given)
    elif choice == "docker" or (choice == "auto" and docker_answers()):
        progress("starting Kafka in Docker")
        with docker_broker() as running:
            yield running
    else:
        embedded = EmbeddedBroker(directory or home_dir() / "kafka", keep=keep, progress=progress).start()
        try:
            yield Running(embedded.bootstrap, "embedded", embedded.reused, embedded)
        finally:
            if not embedded.reused and not keep:
                embedded.stop()


def given_broker(bootstrap: str) -> Running:
    """The broker that KAFKA_BOOTSTRAP names, once it has answered a metadata request."""
    if metadata(bootstrap) is None:
        raise GivenBrokerSilent(bootstrap=bootstrap, reason=f"no metadata within {METADATA_MAX_S:.0f} s")
    return Running(bootstrap, "given", True)


def docker_listens() -> bool:
    """Whether anything accepts connections where DOCKER_HOST, or Docker's usual socket, says."""
    given = os.environ.get("DOCKER_HOST", "")
    if given.startswith("tcp://"):
        host, _, port = given.removeprefix("tcp://").rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=DOCKER_ANSWER_MAX_S).close()
        except (OSError, ValueError):
            return False
        return True
    usual = [DOCKER_SOCKET, str(Path.home() / ".docker/run/docker.sock")]
    for path in [given.removeprefix("unix://")] if given else usual:
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(DOCKER_ANSWER_MAX_S)
            probe.connect(path)
            return True
    return False


def docker_answers() -> bool:
    """Whether testcontainers is installed and a Docker daemon answers within `DOCKER_ANSWER_MAX_S` seconds."""
    if importlib.util.find_spec("testcontainers") is None or not docker_listens():
        return False
    docker = importlib.import_module("docker")
    try:
        client = docker.from_env(timeout=DOCKER_ANSWER_MAX_S)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):  # requests' errors are OSErrors
        return False
    finally:
        client.close()


@contextlib.contextmanager
def docker_broker() -> Iterator[Running]:
    """A broker in a container of its own, with the group settings of the embedded one."""
    port = free_port()
    container = importlib.import_module("testcontainers.core.container").DockerContainer(DOCKER_IMAGE)
    container.with_bind_ports(port, port)
    bootstrap = f"{container.get_container_host_ip()}:{port}"
    for name, value in docker_settings(bootstrap, port).items():
        container.with_env(name, value)
    try:
        container.start()
    except Exception as error:
        raise DockerBrokerFailed(reason=error) from error
    try:
        await_metadata(bootstrap)
        yield Running(bootstrap, "docker", False)
    finally:
        container.stop()


def docker_settings(bootstrap: str, port: int) -> dict[str, str]:
    """The environment of Kafka's own image: what the embedded broker's settings file says, as variables."""
    seat = Seat(1, port, (CONTAINER_CONTROLLER_PORT,), "", 1, 1)
    text = settings_of(seat, Path("/tmp/kafka"))  # noqa: S108 - the container's own disk
    filled = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    filled["listeners"] = f"PLAINTEXT://:{port},CONTROLLER://:{CONTAINER_CONTROLLER_PORT}"
    filled["advertised.listeners"] = f"PLAINTEXT://{bootstrap}"
    return {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in filled.items()}


def await_metadata(bootstrap: str) -> None:
    """Returns once a broker answers there; raises DockerBrokerFailed after `BROKER_START_MAX_S` seconds."""
    deadline = time.monotonic() + BROKER_START_MAX_S
    while time.monotonic() < deadline:
        if metadata(bootstrap) is not None:
            return
        time.sleep(POLL_S)
    raise DockerBrokerFailed(reason=f"no metadata within {BROKER_START_MAX_S:.0f} s")
