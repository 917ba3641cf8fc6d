"""Kafka: one embedded broker in KRaft combined mode, as a process on this machine.

What: `EmbeddedBroker(directory)` with start, stop, kill and attach. Why: the demo, the tests and the benchmark run
against the real thing, without Docker and without Java installed. It refuses to listen anywhere but on loopback,
and creates no topic by itself: a topic made by accident would lack the settings that exactness rests on.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import signal
import subprocess
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local import java, process
from local.directory import made
from local.errors import PortInUse, ProcessDied, StartTimeout
from local.java import Progress, silent
from local.limits import (
    BROKER_HEAP_MIB,
    BROKER_START_MAX_S,
    FORMAT_MAX_S,
    MESSAGE_MAX_BYTES,
    METADATA_MAX_S,
    POLL_S,
    PORT_TRIES_MAX,
    START_LOCK_MAX_S,
)
from local.secured import Secured

KAFKA_VERSION = "4.4.0"
KAFKA = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}"
#: Joins Kafka's logging calls to log4j, which Kafka's own distribution adds outside its pom.
LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5:jar:"
MAIN_CLASS = "kafka.Kafka"
FORMAT_CLASS = "kafka.tools.StorageTool"
WHAT = "embedded Kafka broker"
#: What Kafka logs when a port was taken between our look and its own.
BIND_FAILURE = "Address already in use"

LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{{ISO8601}} %p %c{{1}} %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 2
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
"""

SETTINGS = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{listener}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,DETOUR:PLAINTEXT,SECURE:SASL_SSL,MUTUAL:SSL
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
# a topic exists because somebody made it, with its settings
auto.create.topics.enable=false
# one node has one copy of everything; few partitions, so that groups come up at once
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=2
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
# a worker that joins or dies is noticed in a second, not in three and ten
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# after a kill, the controller takes the broker back only when its last session has run out (9 s by default)
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
message.max.bytes={message_max_bytes}
replica.fetch.max.bytes={message_max_bytes}
socket.request.max.bytes=104857600
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Seat:
    """A broker's place in a cluster of several: node ids count from 1, in the order of `controllers`.

    `detour`: the ports of a second listener, (where it listens, what it tells clients): the way through a proxy.
    """

    node: int
    port: int
    controllers: tuple[int, ...]
    cluster: str
    copies: int
    in_sync: int
    detour: tuple[int, int] | None = None


class EmbeddedBroker:
    """A broker whose files all lie in `directory`; port 0 picks a free one and keeps it over restarts.

    With `keep`, the broker outlives this process; otherwise it is ended with it, even if this process is killed.
    `options` are Java's.
    """

    def __init__(
        self,
        directory: Path,
        port: int = 0,
        keep: bool = False,
        progress: Progress = silent,
        seat: Seat | None = None,
        options: Sequence[str] = (),
        secured: Secured | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.seat = seat
        self.options = options
        self.secured = secured
        self.wanted_port = port
        self.keep = keep
        self.progress = progress
        self.reused = False
        self.start_s = 0.0
        self._child: process.Child | None = None
        self._identity: process.Identity | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port` for clients; only while the broker is known."""
        if self._identity is None:
            raise RuntimeError("the broker was not started: call start() first")
        return f"{process.LOOPBACK}:{self._identity.ports[0]}"

    @property
    def pid(self) -> int:
        """The id of the Java process; only while the broker is known."""
        if self._identity is None:
            raise RuntimeError("the broker was not started: call start() first")
        return self._identity.pid

    @property
    def running(self) -> bool:
        """Whether the broker's process is alive."""
        return self._identity is not None and self._identity.process() is not None

    @property
    def logs(self) -> tuple[Path, Path]:
        """The broker's own log, and what its process printed."""
        return self.directory / "broker.log", self.directory / "broker.out"

    @property
    def _settings(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _state(self) -> Path:
        return self.directory / "broker.json"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *unused: object) -> None:
        if not self.reused:
            self.stop()

    def attach(self) -> bool:
        """Finds the broker that another process left running in this directory; False when there is none."""
        identity = process.load_identity(self._state)
        if identity is None or identity.process() is None:
            return False
        found = metadata(f"{process.LOOPBACK}:{identity.ports[0]}")
        if found is None or found.cluster_id != identity.name:
            return False
        self._identity = identity
        return True

    def start(self) -> Self:
        """Starts the broker, or attaches to the one that runs in this directory; returns once it answers."""
        made(self.directory)
        begun = time.monotonic()
        with process.exclusive(self.directory / "start.lock", WHAT, START_LOCK_MAX_S):
            self.reused = self.attach()
            if not self.reused:
                self._start_new()
        self.start_s = time.monotonic() - begun
        verb = "found running" if self.reused else "answers"
        self.progress(f"Kafka {KAFKA_VERSION} {verb} at {self.bootstrap} ({self.start_s:.1f} s)")
        return self

    def stop(self) -> None:
        """Ends the broker in good order and waits until it is gone."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kills the broker with SIGKILL, as a power cut would; its files stay, and start() brings it back."""
        self._end(signal.SIGKILL)

    def _end(self, first: signal.Signals) -> None:
        if self._identity is not None:
            process.end(self._identity, first)
        if self._child is not None:
            self._child.reap()
            self._child = None

    def _start_new(self) -> None:
        java.require_disk(self.directory)
        before = process.load_identity(self._state)
        if before is not None:
            process.end(before)  # alive, ours by id, age and command line, but without an answer
        jars = java.fetch(f"kafka-{KAFKA_VERSION}", "tree", KAFKA, self.progress)
        jars += java.fetch("kafka-log-binding", "one", LOG_BINDING, self.progress)
        # Folders, not the 45 files in them: the command line stays readable in a process list.
        classpath = ":".join(sorted({f"{jar.parent}/*" for jar in jars}))
        for attempt in range(1, PORT_TRIES_MAX + 1):
            ports = self._ports(before, attempt)
            cluster = self._configure(ports, classpath)
            self._spawn(ports, cluster, classpath)
            try:
                self._await_answer(cluster)
            except ProcessDied:
                self._end(signal.SIGKILL)
                lost_race = any(BIND_FAILURE in process.tail(log) for log in self.logs)
                if not lost_race or self.wanted_port or self.seat or attempt == PORT_TRIES_MAX:
                    raise
            except BaseException:
                self._end(signal.SIGKILL)
                raise
            else:
                return

    def _ports(self, before: process.Identity | None, attempt: int) -> tuple[int, int]:
        """The broker's and the controller's port: the wanted one, else the last run's, else free ones."""
        if self.seat is not None:
            return self.seat.port, self.seat.controllers[self.seat.node - 1]
        if self.wanted_port:
            if not process.port_is_free(self.wanted_port):
                raise PortInUse(port=self.wanted_port)
            return self.wanted_port, process.free_port()
        if before is not None and attempt == 1 and all(map(process.port_is_free, before.ports)):
            return before.ports[0], before.ports[1]
        return process.free_port(), process.free_port()

    def _configure(self, ports: tuple[int, int], classpath: str) -> str:
        """Writes the settings and formats the storage at the first start; answers with the cluster's id."""
        data = self.directory / "data"
        seat = self.seat or Seat(1, ports[0], (ports[1],), "", 1, 1)
        self._settings.write_text(settings_of(seat, data, self.secured), encoding="utf-8")
        logging = LOGGING.format(log=self.logs[0])
        (self.directory / "log4j2.properties").write_text(logging, encoding="utf-8")
        known = cluster_of(data)
        if known:
            return known
        self.progress("formatting the broker's storage")
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        cluster = seat.cluster or "T" + cluster[1:]  # an id that begins with a dash reads as an option
        command = self._java(classpath, 256, FORMAT_CLASS, ["format", "-t", cluster, "-c", str(self._settings)])
        with self.logs[1].open("wb") as output:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=FORMAT_MAX_S,
                check=False,
            ).returncode
        if code != 0:
            raise ProcessDied(
                what=f"formatting of the {WHAT}", code=code, log=self.logs[1], tail=process.tail(self.logs[1])
            )
        return cluster

    def _java(self, classpath: str, heap_mib: int, main: str, arguments: list[str]) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}"
        allowed = self.secured.allowed if self.secured else []
        options = [f"-Xmx{heap_mib}m", *self.options, logging, *allowed]
        return [str(java.java()), *options, "-cp", classpath, main, *arguments]

    def _spawn(self, ports: tuple[int, int], cluster: str, classpath: str) -> None:
        self.progress(f"starting Kafka {KAFKA_VERSION} on port {ports[0]}")
        self.logs[0].unlink(missing_ok=True)
        self._child = process.spawn(
            self._java(classpath, BROKER_HEAP_MIB, MAIN_CLASS, [str(self._settings)]),
            java.child_environment(),
            self.logs[1],
            name=cluster,
            mark=str(self._settings),
            ports=ports,
            guarded=not self.keep,
        )
        self._identity = self._child.identity
        self._identity.save(self._state)

    def _await_answer(self, cluster: str) -> None:
        deadline = time.monotonic() + BROKER_START_MAX_S
        while time.monotonic() < deadline:
            code = self._child.exit_code() if self._child else None
            if code is not None:
                raise ProcessDied(what=WHAT, code=code, log=self.logs[0], tail=process.tail(*self.logs))
            port = int(self.bootstrap.rpartition(":")[2])
            if process.port_answers(port, METADATA_MAX_S):
                found = metadata(self.bootstrap)
                if found is not None and found.cluster_id == cluster and found.brokers:
                    return
            time.sleep(POLL_S)
        raise StartTimeout(what=WHAT, seconds=int(BROKER_START_MAX_S), log=self.logs[0], tail=process.tail(*self.logs))


def settings_of(seat: Seat, data: Path, secured: Secured | None = None) -> str:
    """The text of the broker's settings file."""
    more = secured.listeners if secured else ""
    listener, told = (f",DETOUR://127.0.0.1:{port}{more}" if port else more for port in seat.detour or (0, 0))
    facts = {
        "node": seat.node,
        "voters": ",".join(f"{node}@127.0.0.1:{port}" for node, port in enumerate(seat.controllers, 1)),
        "port": seat.port,
        "controller_port": seat.controllers[seat.node - 1],
        "listener": listener,
        "advertised": told,
        "copies": seat.copies,
        "in_sync": seat.in_sync,
        "data": data,
        "message_max_bytes": MESSAGE_MAX_BYTES,
    }
    return SETTINGS.format_map(facts) + (secured.settings if secured else "")


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a cluster said about itself: its id, and how many brokers it has in service."""

    cluster_id: str
    brokers: int


def metadata(bootstrap: str) -> Answer | None:
    """The answer to a real metadata request, or None when there is none within `METADATA_MAX_S` seconds."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    with contextlib.suppress(KafkaException):
        found = client.list_topics(timeout=METADATA_MAX_S)
        return Answer(str(found.cluster_id), len(found.brokers))
    return None


def cluster_of(data: Path) -> str:
    """The cluster id in a formatted storage directory; empty when it is not formatted."""
    with contextlib.suppress(OSError):
        for line in (data / "meta.properties").read_text(encoding="utf-8").splitlines():
            if line.startswith("cluster.id="):
                return line.partition("=")[2]
    return ""
