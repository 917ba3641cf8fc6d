"""Port: what every destination implements, and the values that pass through it.

What: a sink turns a notification into a `Request` and an answer into an `Outcome`. Why: a destination is then two pure
functions, and one executor serves all. It refuses to send, to wait and to read clocks.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Protocol

from schemas.records import NotificationRecord
from sinks import limits


class Category(enum.Enum):
    """Why a delivery failed. A bounded set: it is a label of our own metrics."""

    TIMEOUT = "timeout"  # ambiguous: the receiver may have taken it
    UNREACHABLE = "unreachable"  # no connection, or a name that does not resolve
    TLS = "tls"  # the certificate is not to be trusted
    BROKEN = "broken"  # the connection ended, or the answer could not be read: ambiguous
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    REDIRECTED = "redirected"  # never followed: it would hand our secrets to another address
    REFUSED = "refused"  # the receiver understood and does not want it
    UNSENDABLE = "unsendable"  # no request could be made of it
    LOST = "lost"  # the attempt was begun and nobody said how it ended: ambiguous


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Everything that may hold a secret is left out of its repr."""

    method: str
    url: str = dataclasses.field(repr=False)
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names in lower case; `at_ms`: wall clock at which it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Nothing came back, or nothing readable."""

    category: Category
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. `detail` is what it said."""

    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Not now. `after_ms`: how long the receiver wants to be left alone, None when it did not say."""

    category: Category
    detail: str
    after_ms: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the same request would be refused again."""

    category: Category
    detail: str


Answer = Response | Failure
Outcome = Delivered | Retry | Rejected


class Unsendable(ValueError):
    """No request can be made of this notification."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"no request can be made of this notification: {detail}")


class Sink(Protocol):
    """One destination."""

    def request(self, notification: NotificationRecord) -> Request:
        """The request that tells it. Equal notifications give equal requests. Raises Unsendable."""

    def outcome(self, answer: Answer) -> Outcome:
        """What the answer means."""


class Exchange(Protocol):
    """Whatever performs a request: the network, or a fake in memory."""

    async def __call__(self, request: Request, timeout_s: float) -> Answer:
        """The answer, within the timeout. Raises nothing."""


def shortened(text: str, most: int) -> str:
    """`text`, at most `most` characters, an ellipsis in place of what is cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def said(body: bytes) -> str:
    """The beginning of a response's body, as one line without control characters, for people to read."""
    text = body[: limits.DETAIL_CHARS_MAX * 4].decode("utf-8", "replace")
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in text).split()), limits.DETAIL_CHARS_MAX)
