"""Port: what every destination implements, and the values that pass through it.

What: a sink turns a notification into a `Request` and an answer into an `Outcome`; a `Dialogue` asks several times, as
what it asks next hangs on what it was answered. Why: a destination is then pure, and one executor serves all. What it
wants to be reminded of, it says as a memo, and what is left of earlier attempts comes back as `Before`. It refuses to
send, to wait and to read clocks.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections.abc import Generator, Mapping
from typing import Protocol, runtime_checkable

from schemas.records import NotificationRecord
from sinks import limits


class Category(enum.Enum):
    """Why a delivery failed. A bounded set: it is a label of our own metrics."""

    TIMEOUT = "timeout"  # ambiguous: the receiver may have taken it
    UNREACHABLE = "unreachable"  # no connection, or a name that does not resolve
    TLS = "tls"  # the certificate is not to be trusted
    BROKEN = "broken"  # the connection ended, or the answer could not be read: ambiguous
    RATE_LIMITED = "rate_limited"
    DEFERRED = "deferred"  # the receiver wants this one later, and others now
    SERVER_ERROR = "server_error"
    REDIRECTED = "redirected"  # never followed: it would hand our secrets to another address
    REFUSED = "refused"  # the receiver understood and does not want it
    MISCONFIGURED = "misconfigured"  # the receiver does not want us as we come: a person has to correct the channel
    UNSENDABLE = "unsendable"  # no request could be made of it
    LOST = "lost"  # the attempt was begun and nobody said how it ended: ambiguous


#: After these, the receiver may have taken it all the same.
AMBIGUOUS = frozenset({Category.TIMEOUT, Category.BROKEN, Category.SERVER_ERROR, Category.LOST})


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Everything that may hold a secret is left out of its repr."""

    method: str
    url: str = dataclasses.field(repr=False)
    headers: Mapping[str, str] = dataclasses.field(repr=False)
    body: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Mail:
    """One SMTP transaction. `security`: tls (from the first byte), starttls (or nothing is sent), none. `hello`: our name.

    What may hold a secret, or whom it is for, is left out of its repr.
    """

    host: str
    port: int
    security: str
    hello: str
    username: str = dataclasses.field(repr=False)
    password: str = dataclasses.field(repr=False)
    sender: str
    recipients: tuple[str, ...] = dataclasses.field(repr=False)
    message: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """What a mail server said in the end: code and text, and at which step (greeting, login, sender, recipients, data).

    `refused`: code and text for each recipient that it did not take, when it took the message for others.
    """

    step: str
    code: int
    text: str
    refused: Mapping[str, tuple[int, str]]


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names in lower case; `at_ms`: wall clock at which it was read."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at_ms: int


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """Nothing came back, or nothing readable. `sure`: it was not taken, whatever the category leaves open."""

    category: Category
    detail: str
    sure: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. `detail` is what it said.

    `memo`: kept with the incident, and handed to whatever follows in it. `perhaps_twice`: an earlier attempt may have
    been taken too, the receiver tells no repeat from news, and nobody could look.
    """

    detail: str
    memo: str = ""
    perhaps_twice: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Retry:
    """Not now. `after_ms`: how long the receiver wants to be left alone, None when it did not say.

    `memo`: kept with this delivery, and handed to its next attempt. `sure`: it was not taken, whatever the category leaves
    open.
    """

    category: Category
    detail: str
    after_ms: int | None = None
    memo: str = ""
    sure: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the same request would be refused again."""

    category: Category
    detail: str


@dataclasses.dataclass(frozen=True, slots=True)
class Before:
    """What is left of earlier attempts. `incident`, `delivery`: memos; `unsure`: one of them may have been taken."""

    attempt: int = 1
    unsure: bool = False
    incident: str = ""
    delivery: str = ""


#: Nothing was tried before, and nothing told.
FIRST = Before()

Question = Request | Mail
Answer = Response | Reply | Failure
Outcome = Delivered | Retry | Rejected
#: Yields requests, is sent the answer of each, and ends with the outcome.
Talk = Generator[Question, Answer, Outcome]


class Unsendable(ValueError):
    """No request can be made of this notification."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"no request can be made of this notification: {detail}")


class Sink(Protocol):
    """One destination that is told by one request."""

    def request(self, notification: NotificationRecord) -> Question:
        """The request that tells it. Equal notifications give equal requests. Raises Unsendable."""

    def outcome(self, answer: Answer) -> Outcome:
        """What the answer means."""


@runtime_checkable
class Dialogue(Protocol):
    """One destination that is told by several requests, all within one attempt."""

    def tell(self, notification: NotificationRecord, before: Before) -> Talk:
        """Ask until the outcome is known. Equal arguments and answers give equal requests. Raises Unsendable."""


Destination = Sink | Dialogue


class Exchange(Protocol):
    """Whatever performs a request: the network, or a fake in memory."""

    async def __call__(self, request: Question, timeout_s: float) -> Answer:
        """The answer, within the timeout. Raises nothing."""


def telling(destination: Destination, notification: NotificationRecord, before: Before) -> Talk:
    """How this destination is told, whichever kind it is. Raises Unsendable."""
    if isinstance(destination, Dialogue):
        return (yield from destination.tell(notification, before))
    return destination.outcome((yield destination.request(notification)))


def identity(key: str) -> str:
    """An id as it travels in messages: the id itself, or a hash where it is long or odd."""
    if len(key) <= limits.IDENTITY_CHARS_MAX and re.fullmatch(r"[A-Za-z0-9-]+", key):
        return key
    return hashlib.blake2b(key.encode("utf-8", "replace"), digest_size=16).hexdigest()


def plain(text: str) -> str:
    """`text` on one line, without control characters and lone surrogates: data that cannot begin a header or a line."""
    return "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode())


def shortened(text: str, most: int) -> str:
    """`text`, at most `most` characters, an ellipsis in place of what is cut off."""
    return text if len(text) <= most else text[: most - 1] + "…"


def said(body: bytes) -> str:
    """The beginning of a response's body, as one line without control characters, for people to read."""
    text = body[: limits.DETAIL_CHARS_MAX * 4].decode("utf-8", "replace")
    return shortened(" ".join("".join(c if c.isprintable() else " " for c in text).split()), limits.DETAIL_CHARS_MAX)
