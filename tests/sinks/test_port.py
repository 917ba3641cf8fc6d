"""The contract of every destination, each against its far end, with the same demands."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import ClassVar, Protocol

import pytest

from schemas.records import NotificationRecord
from sinks.delivery import HttpExchange, converse
from sinks.email.mailbox import Mailbox
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.receiver import Fault, Receiver
from sinks.fakes.slack import SlackFake
from sinks.fakes.smtp import MailFault, SmtpFake
from sinks.fakes.webhook import WebhookFake
from sinks.memory import Memory, MemoryReceiver
from sinks.pagerduty import PagerDuty
from sinks.port import (
    AMBIGUOUS,
    FIRST,
    Before,
    Category,
    Delivered,
    Destination,
    Exchange,
    Failure,
    Outcome,
    Rejected,
    Response,
    Retry,
    Unsendable,
    said,
    telling,
)
from sinks.slack.bot import SlackBot
from sinks.slack.hook import SlackHook
from sinks.slack.message import COLOURS
from sinks.smtp import SmtpExchange
from sinks.webhook import Webhook
from tests.sinks.build import PAGE, notification, with_details

KEY = "k" * 32
ADA = "ada@example.com"


class Far(Protocol):
    """A far end, whatever it is made of."""

    def fail(self, status: int, taking: bool = False, retry_after: int | None = None) -> None: ...
    def open(self) -> int: ...
    @property
    def says_when(self) -> bool: ...


@dataclasses.dataclass
class MemoryEnd:
    receiver: MemoryReceiver
    says_when: ClassVar[bool] = True

    def fail(self, status: int, taking: bool = False, retry_after: int | None = None) -> None:
        headers = {"retry-after": str(retry_after)} if retry_after is not None else {}
        answer = Response(status, headers, b"", 0) if status else Failure(Category.BROKEN, "hung up")
        self.receiver.answers(answer, taking)

    def open(self) -> int:
        state: dict[object, str] = {}
        for fields in self.receiver.taken:
            state[fields["dedup_key"]] = str(fields["action"])
        return sum(action != "resolve" for action in state.values())


@dataclasses.dataclass
class HttpEnd:
    server: Receiver
    count: Callable[[], int]
    says_when: ClassVar[bool] = True

    def fail(self, status: int, taking: bool = False, retry_after: int | None = None) -> None:
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        self.server.fails(Fault(status, taking, headers=headers))

    def open(self) -> int:
        return self.count()


@dataclasses.dataclass
class MailEnd:
    """Mail servers have codes of their own for what went wrong, and no Retry-After."""

    server: SmtpFake
    says_when: ClassVar[bool] = False

    def fail(self, status: int, taking: bool = False, retry_after: int | None = None) -> None:
        replies = {0: "", 429: "421 4.7.0 too many", 302: "551 at <you@other>", 400: "554 no", 404: "550 no"}
        self.server.fails(MailFault("data", replies.get(status, "451 4.3.0 in trouble"), taking))

    def open(self) -> int:
        threads = self.server.threads(ADA).values()
        return sum(not thread[-1]["Subject"].startswith("[Resolved]") for thread in threads)


@dataclasses.dataclass
class Setup:
    """A destination, and what an outbox would remember of one incident."""

    sink: Destination
    exchange: Exchange
    far: Far
    before: Before = FIRST

    async def tell(self, record: NotificationRecord) -> Outcome:
        outcome = await converse(telling(self.sink, record, self.before), self.exchange, 5.0)
        if isinstance(outcome, Delivered):
            self.before = Before(incident=outcome.memo)
        elif isinstance(outcome, Retry):
            self.before = Before(
                self.before.attempt + 1, outcome.category in AMBIGUOUS, self.before.incident, outcome.memo
            )
        return outcome


@pytest.fixture(params=["memory", "webhook", "pagerduty", "slack", "email"])
async def setup(request: pytest.FixtureRequest) -> AsyncIterator[Setup]:
    if request.param == "memory":
        receiver = MemoryReceiver()
        yield Setup(Memory(), receiver, MemoryEnd(receiver))
        return
    if request.param == "email":
        with SmtpFake(ADA) as mail:
            yield Setup(Mailbox("127.0.0.1", mail.port, "none", "t@example.com", (ADA,)), SmtpExchange(), MailEnd(mail))
        return
    exchange = HttpExchange()
    if request.param == "webhook":
        with WebhookFake() as hook:

            def count() -> int:
                return sum(status == "firing" for status in hook.groups.values())

            yield Setup(Webhook("team", hook.url), exchange, HttpEnd(hook, count))
            await exchange.close()
    elif request.param == "slack":
        with SlackFake(KEY) as slack:

            def count() -> int:
                return sum(message.colour != COLOURS["resolve"] for message in slack.roots)

            yield Setup(SlackBot("C0INCIDENTS", KEY, slack.url), exchange, HttpEnd(slack, count))
            await exchange.close()
    else:
        with PagerDutyFake() as pager:

            def count() -> int:
                return sum(incident.status != "resolved" for incident in pager.incidents)

            yield Setup(PagerDuty(KEY, pager.url), exchange, HttpEnd(pager, count))
            await exchange.close()


async def test_a_trigger_opens_and_a_resolution_closes(setup: Setup) -> None:
    assert isinstance(await setup.tell(notification()), Delivered)
    assert setup.far.open() == 1
    assert isinstance(await setup.tell(notification("n2", action="update")), Delivered)
    assert isinstance(await setup.tell(notification("n3", action="acknowledge")), Delivered)
    assert setup.far.open() == 1
    assert isinstance(await setup.tell(notification("n4", action="resolve")), Delivered)
    assert setup.far.open() == 0


async def test_a_repeat_opens_nothing_new(setup: Setup) -> None:
    setup.far.fail(500, taking=True)  # took it, and said that it did not
    assert isinstance(await setup.tell(notification()), Retry)
    assert isinstance(await setup.tell(notification()), Delivered)
    assert setup.far.open() == 1


@pytest.mark.parametrize("status", [500, 502, 503, 599])
async def test_a_server_error_is_worth_another_try(setup: Setup, status: int) -> None:
    setup.far.fail(status)
    outcome = await setup.tell(notification())
    assert isinstance(outcome, Retry)
    assert outcome.category is Category.SERVER_ERROR
    assert setup.far.open() == 0


async def test_a_limit_says_when(setup: Setup) -> None:
    setup.far.fail(429, retry_after=17)
    outcome = await setup.tell(notification())
    assert isinstance(outcome, Retry)
    when = 17_000 if setup.far.says_when else None
    assert (outcome.category, outcome.after_ms) == (Category.RATE_LIMITED, when)


async def test_hanging_up_is_worth_another_try(setup: Setup) -> None:
    setup.far.fail(0)
    outcome = await setup.tell(notification())
    assert isinstance(outcome, Retry)
    assert outcome.category is Category.BROKEN


@pytest.mark.parametrize(
    ("status", "category"), [(400, Category.REFUSED), (404, Category.REFUSED), (302, Category.REDIRECTED)]
)
async def test_a_refusal_is_final(setup: Setup, status: int, category: Category) -> None:
    setup.far.fail(status)
    outcome = await setup.tell(notification())
    assert isinstance(outcome, Rejected)
    assert outcome.category is category


async def test_equal_notifications_give_equal_requests(setup: Setup) -> None:
    one, other = (telling(setup.sink, record, FIRST) for record in (PAGE, dataclasses.replace(PAGE)))
    assert next(one) == next(other)


async def test_an_unknown_action_is_not_sent(setup: Setup) -> None:
    with pytest.raises(Unsendable, match="shout"):
        next(telling(setup.sink, notification(action="shout"), FIRST))


async def test_any_text_can_be_told(setup: Setup) -> None:
    hostile = {
        "slo": "a\x00b\r\nX: y",
        "explain": "<!channel> \u202e\ud800 {{7*7}}",
        "description": "ü" * 5_000,
        "": "x",
    }
    assert isinstance(await setup.tell(with_details(hostile)), Delivered)
    assert isinstance(
        await setup.tell(dataclasses.replace(PAGE, summary="\ud83d\x1b[31m" * 2_000, source="")), Delivered
    )


def test_a_request_does_not_show_its_secrets() -> None:
    shown = repr(PagerDuty(KEY).request(PAGE)) + repr(PagerDuty(KEY)) + repr(Webhook("a", "https://h/secret", "token"))
    shown += repr(Webhook("a", "https://h/secret", "token").request(PAGE))
    for slack in (SlackBot("C0INCIDENTS", KEY), SlackHook("https://h/secret")):
        shown += repr(slack) + repr(next(slack.tell(PAGE, FIRST)))
    mailbox = Mailbox("h", 465, "tls", "t@example.com", ("secret@x",), "secret", "token")
    shown += repr(mailbox) + repr(next(mailbox.tell(PAGE, FIRST)))
    assert KEY not in shown
    assert "secret" not in shown
    assert "token" not in shown


def test_what_was_said_is_one_short_line() -> None:
    assert said(b"no\r\n\x1b[31m way\xff") == "no [31m way\ufffd"
    assert len(said(b"x" * 5_000)) == 300
