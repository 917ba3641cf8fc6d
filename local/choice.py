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
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from local.errors import ChoiceUnknown, DockerBrokerFailed, GivenBrokerSilent
from local.java import Progress, silent
from local.kafka import EmbeddedBroker, metadata
from local.limits import DOCKER_ANSWER_MAX_S, MESSAGE_MAX_BYTES, METADATA_MAX_S

#: Pinned; any Kafka of version 4 with the Confluent image layout that testcontainers expects.
DOCKER_IMAGE = "confluentinc/cp-kafka:8.1.0"
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
    container = importlib.import_module("testcontainers.community.kafka").KafkaContainer(DOCKER_IMAGE).with_kraft()
    for name, value in {
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
        "KAFKA_MESSAGE_MAX_BYTES": str(MESSAGE_MAX_BYTES),
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    }.items():
        container.with_env(name, value)
    try:
        container.start()
    except Exception as error:
        raise DockerBrokerFailed(reason=error) from error
    try:
        yield Running(str(container.get_bootstrap_server()), "docker", False)
    finally:
        container.stop()
