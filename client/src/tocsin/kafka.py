"""Kafka transport: an idempotent producer that waits for all in-sync replicas.

What: one librdkafka producer, made at the first send. Why: acks=all with idempotence is what makes "delivered" mean
stored, once, in order; the partitioner is the one that Java and aiokafka use, so that one source is one partition
for everybody. After a refusal it is made anew when the files of its credentials have changed, or it has come to its end;
what was on its way then is sent again. It refuses to touch a producer inherited over a fork: its threads do not exist in the child.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tocsin.errors import Full, InvalidOption, Rejected
from tocsin.security import Security
from tocsin.transport import OnResult, Transport

if TYPE_CHECKING:
    from confluent_kafka import Message, Producer

#: What callers may not change, since the promises of the client rest on it.
FIXED: Mapping[str, Any] = {"acks": "all", "enable.idempotence": True, "partitioner": "murmur2_random"}
DEFAULTS: Mapping[str, Any] = {
    "linger.ms": 5,
    "compression.type": "lz4",
    "message.timeout.ms": 120_000,
    "queue.buffering.max.kbytes": 65_536,
    "reconnect.backoff.max.ms": 2_000,
    "log.connection.close": False,
}
LOGS_TOPIC = "logs"
#: librdkafka error names after which the same record can never succeed.
HOPELESS = frozenset({"MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "_INVALID_ARG", "_BAD_MSG"})

#: librdkafka error names that say: not you, and not over this connection.
REFUSALS = frozenset({
    "_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED", "UNSUPPORTED_SASL_MECHANISM", "TOPIC_AUTHORIZATION_FAILED",
    "CLUSTER_AUTHORIZATION_FAILED", "GROUP_AUTHORIZATION_FAILED",
})  # fmt: skip

_inherited: list[object] = []  # producers of a parent process: never used, never destroyed (that would hang)


class KafkaTransport:
    """Sends to one topic. `config` adds librdkafka settings; those of `FIXED` may not be changed (InvalidOption)."""

    def __init__(
        self,
        bootstrap: str,
        topic: str = "telemetry",
        config: Mapping[str, Any] | None = None,
        security: Security | None = None,
    ) -> None:
        from importlib.util import find_spec

        if find_spec("confluent_kafka") is None:
            raise InvalidOption("kafka:// needs confluent-kafka: pip install 'tocsin-client[kafka]'")
        for key in config or {}:
            if key in FIXED:
                raise InvalidOption(f"kafka setting {key!r} is fixed to {FIXED[key]!r}")
        self.topic = topic
        self._config = {**DEFAULTS, **(config or {}), **FIXED, "bootstrap.servers": bootstrap}
        self._producer: Producer | None = None
        self._making = threading.Lock()  # telemetry and logs come from a thread each
        self._security = security
        self._files: tuple[object, ...] = ()  # of the credentials that the producer was made with
        self._over = False  # the producer is to be made anew
        self.refusal = ""  # what the broker said last, while it does not let us in

    def _start(self) -> Producer:
        import logging

        from confluent_kafka import Producer

        log = logging.getLogger("tocsin.kafka")
        log.addHandler(logging.NullHandler())
        config = {**self._config, "error_cb": self._heard}
        if self._security is not None:
            self._files = self._security.files()
            config |= self._security.config()
        self._producer, self._over = Producer(config, logger=log), False
        return self._producer

    def _heard(self, error: Any) -> None:
        """Errors of librdkafka itself, told while it is polled."""
        name = error.name()
        if name == "_TRANSPORT" and "SSL routines" in error.str():
            name = "_SSL"  # what TLS 1.3 says to our certificate comes after the handshake
        if name in REFUSALS:
            self._refused(name, error)

    def _polled(self, producer: Producer, timeout: float = 0.0) -> None:
        """Serve reports. An error that is the end of a producer is raised by librdkafka's Python face, not told."""
        try:
            producer.flush(timeout) if timeout > 0 else producer.poll(0)
        except Exception as error:  # KafkaException, which cannot be named before it is imported
            told = error.args[0] if error.args else None
            if not hasattr(told, "code"):
                raise
            self._over = True
            self._heard(told)

    def _refused(self, name: str, error: Any) -> None:
        """Say so once, and look whether other credentials lie there by now."""
        if not self.refusal.startswith(name):
            import logging

            who = self._security.principal if self._security is not None else "User:ANONYMOUS"
            self.refusal = f"{name}: the broker does not let {who} write to {self.topic}: {error}"
            logging.getLogger("tocsin.kafka").warning(self.refusal)
        if self._security is not None and self._security.files() != self._files:
            self._over = True

    def _afresh(self, producer: Producer) -> bool:
        """Let go of a producer that is over. True once it has: what it held comes back as failed, and is sent again."""
        producer.purge()
        self._polled(producer)
        if len(producer):
            return False
        with self._making:
            if self._producer is producer:
                self._producer = None
        return True

    def for_logs(self) -> Transport:
        """The same producer, to the topic of logs."""
        return _LogsOf(self)

    def send(self, key: bytes, value: bytes, on_result: OnResult, topic: str = "") -> None:
        """Hand one record to librdkafka. Raises Full while its queue is full, Rejected for a record it never takes."""
        held = self._producer
        if self._over and held is not None and not self._afresh(held):
            raise Full("the producer is being replaced")
        with self._making:
            producer = self._producer or self._start()

        def delivered(error: Any, message: Message) -> None:
            if error is None:
                self.refusal = ""
            elif error.name() in REFUSALS:
                self._refused(error.name(), error)
            on_result(None if error is None else as_exception(error))

        try:
            producer.produce(topic or self.topic, value, key, on_delivery=delivered)
        except BufferError as error:
            self._polled(producer)
            raise Full("the producer's queue is full") from error
        except Exception as error:
            raise as_exception(error.args[0] if error.args else error) from error
        self._polled(producer)

    def flush(self, timeout: float) -> int:
        """Serve delivery reports for up to `timeout` seconds; answers how many records are still on their way."""
        producer = self._producer
        if producer is None or (self._over and self._afresh(producer)):
            return 0
        self._polled(producer, timeout)
        return len(producer)

    def close(self) -> None:
        """Let go of the producer here and now. Left to the garbage collector, it may end in a forked child, which librdkafka does not
        survive."""
        with self._making:
            self._producer = None

    def after_fork(self) -> None:
        """In a forked child: leave the parent's producer alone and make a new one when needed."""
        self._making = threading.Lock()
        if self._producer is not None:
            _inherited.append(self._producer)
            self._producer = None


class _LogsOf:
    """A transport's other topic. Its parent is closed, and told of a fork, by itself."""

    def __init__(self, parent: KafkaTransport) -> None:
        self._parent = parent

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """See KafkaTransport."""
        self._parent.send(key, value, on_result, LOGS_TOPIC)

    def flush(self, timeout: float) -> int:
        """See KafkaTransport."""
        return self._parent.flush(timeout)


def as_exception(error: Any) -> Exception:
    """A KafkaError as the client's own kind: Rejected when the same record can never succeed."""
    name = error.name() if hasattr(error, "name") else type(error).__name__
    if name in HOPELESS:
        return Rejected(name)
    return ConnectionError(f"{name}: {error}")
