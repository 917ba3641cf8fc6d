"""Transport: where encoded batches go.

What: the protocol, and a transport that keeps what it is given (for tests). Why: a destination is replaceable: Kafka
today, a gateway or a spool on disk beside it, or anything that wraps one of them. It refuses to know what is in a
record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

#: Called once a record, with None when it is stored for good, or with the error. `Rejected` means never send it again.
OnResult = Callable[["Exception | None"], None]


class Transport(Protocol):
    """A destination. `send` may raise `Full` (offer it again later) or `Rejected`; it must not block.

    The result may be given from any thread, and from inside `send` or `flush`. A transport may have `after_fork()`,
    called in a forked child before anything else, `close()`, and `for_logs()`: the transport for log records, which may be
    itself. Without it no log records are taken.
    """

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Take one record: the key decides the partition, equal keys keep their order."""

    def flush(self, timeout: float) -> int:
        """Wait up to so many seconds for results; 0 only serves those that are ready. Answers how many are missing."""


class MemoryTransport:
    """Keeps each record; answers success at once, or `answer` when that is set. `logs` keeps those of the log."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []
        self.answer: Exception | None = None
        self.logs: MemoryTransport | None = None

    def for_logs(self) -> MemoryTransport:
        """Another one."""
        self.logs = MemoryTransport()
        return self.logs

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Keep the record and report on it."""
        if self.answer is None:
            self.records.append((key, value))
        on_result(self.answer)

    def flush(self, timeout: float) -> int:
        """Nothing is ever on its way."""
        return 0


def from_url(
    url: str,
    token: str = "",
    ca_file: str = "",
    cert_file: str = "",
    key_file: str = "",
    kafka: Mapping[str, object] | None = None,
) -> Transport:
    """`kafka://host:port[,host:port…][/topic]`, `http://host[:port][/path]` or `https://…`. Raises InvalidOption.

    The token and the files (PEM) are those of a gateway; `kafka`: see `security`.
    """
    from tocsin.errors import InvalidOption

    scheme, separator, rest = url.partition("://")
    hosts, _, topic = rest.partition("/")
    if scheme in ("http", "https") and separator:
        from tocsin.gateway import GatewayTransport

        if kafka:
            raise InvalidOption("kafka={…} is for a broker, kafka://…")
        return GatewayTransport(url, token, ca_file, cert_file, key_file)
    if scheme != "kafka" or not separator or not hosts:
        raise InvalidOption(
            f"transport {url!r}; kafka://host:port[,host:port…][/topic], https://host[/path] or a Transport is expected"
        )
    if token or ca_file or cert_file or key_file:
        raise InvalidOption(
            "token, ca_file, cert_file and key_file are for a gateway, https://…; for a broker: kafka={…}"
        )
    from tocsin.kafka import KafkaTransport
    from tocsin.security import Security

    return KafkaTransport(hosts, topic or "telemetry", security=Security(kafka))
