"""People told by e-mail: each once, whoever the server took it for; who was refused is named."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

import pytest

from sinks.delivery import Delivery, converse
from sinks.email.mailbox import Mailbox
from sinks.fakes.smtp import MailFault, SmtpFake
from sinks.lane import Policy
from sinks.outbox import Outbox
from sinks.outbox_state import restore, snapshot
from sinks.port import FIRST, Before, Category, Delivered, Outcome, Rejected, Retry
from sinks.retry import Backoff
from sinks.smtp import SmtpExchange
from tests.sinks.build import notification

ADA, BOB, EVE = "ada@example.com", "bob@example.com", "eve@example.com"


@pytest.fixture
def server() -> Iterator[SmtpFake]:
    with SmtpFake(ADA, BOB) as found:
        yield found


def mailbox(server: SmtpFake, *people: str) -> Mailbox:
    return Mailbox("127.0.0.1", server.port, "none", "tocsin@example.com", people)


async def tell(box: Mailbox, before: Before = FIRST, **other: str) -> Outcome:
    return await converse(box.tell(notification(**other), before), SmtpExchange(), 5.0)


async def test_a_life_is_one_thread(server: SmtpFake) -> None:
    for n, action in enumerate(["trigger", "update", "acknowledge", "resolve"]):
        outcome = await tell(mailbox(server, ADA, BOB), name=f"n{n}", action=action)
        assert outcome == Delivered("2 of 2 told; 250 2.0.0 queued")
    (thread,) = server.threads(BOB).values()
    assert [m["Subject"].split()[0] for m in thread] == ["[PAGE]", "[PAGE]", "[Acknowledged]", "[Resolved]"]
    assert [t.recipients for t in server.transactions] == [(ADA, BOB)] * 4


async def test_who_is_greylisted_gets_it_later_and_nobody_twice(server: SmtpFake) -> None:
    server.greylisted.add(BOB)
    box = mailbox(server, ADA, BOB, EVE)
    outcome = await tell(box)
    assert isinstance(outcome, Retry)
    assert outcome.category is Category.DEFERRED
    assert outcome.detail.startswith(f"1 of 3 told; refused: {EVE} (550 5.1.1 no such user); later: {BOB} (450 4.7.1")
    assert "@" not in outcome.memo
    again = await tell(box, Before(2, delivery=outcome.memo))
    assert again == Delivered(f"2 of 3 told; refused: {EVE}; 250 2.0.0 queued")
    assert [len(server.mailboxes[one]) for one in (ADA, BOB)] == [1, 1]


async def test_nobody_is_left_to_tell(server: SmtpFake) -> None:
    box = mailbox(server, ADA, EVE)
    with pytest.raises(StopIteration) as ended:
        next(box.tell(notification(), Before(2, delivery=memo(box, "+", "-"))))
    assert ended.value.value == Delivered(f"1 of 2 told; refused: {EVE}; told before")


def memo(box: Mailbox, *fates: str) -> str:
    from sinks.email.mailbox import _short

    return " ".join(f"{fate}{_short(one)}" for fate, one in zip(fates, box.recipients, strict=True))


async def test_if_all_are_refused_it_is_rejected(server: SmtpFake) -> None:
    outcome = await tell(mailbox(server, EVE))
    assert outcome == Rejected(
        Category.REFUSED, f"0 of 1 told; refused: {EVE} (550 5.1.1 no such user); 550 5.1.1 no such user"
    )


async def test_a_message_that_is_refused_while_somebody_was_greylisted_is_owed_to_both(server: SmtpFake) -> None:
    server.greylisted.add(BOB)
    server.fails(MailFault("data", "451 4.3.0 trouble"))
    outcome = await tell(mailbox(server, ADA, BOB))
    assert isinstance(outcome, Retry)
    assert outcome.memo == ""
    assert isinstance(await tell(mailbox(server, ADA, BOB)), Delivered)
    assert [len(server.mailboxes[one]) for one in (ADA, BOB)] == [1, 1]


@pytest.mark.parametrize("fault", [MailFault(reply="", taking=True), MailFault("data", "", taking=True, delay_s=0.05)])
async def test_a_lost_answer_makes_a_repeat_that_is_known_by_its_id(server: SmtpFake, fault: MailFault) -> None:
    server.fails(fault)
    outcome = await tell(mailbox(server, ADA))
    assert isinstance(outcome, Retry)
    assert (outcome.category, outcome.sure) == (Category.BROKEN, False)
    again = await tell(mailbox(server, ADA), Before(2, unsure=True))
    assert isinstance(again, Delivered)
    assert again.perhaps_twice
    assert len(server.mailboxes[ADA]) == 2
    ((one,),) = server.threads(ADA).values()
    assert one["Message-ID"] == "<tocsin.incident-1@example.com>"


@pytest.mark.parametrize("step", ["sender", "recipient"])
async def test_a_connection_that_ends_before_the_message_leaves_no_doubt(server: SmtpFake, step: str) -> None:
    server.fails(MailFault(step, ""))
    outcome = await tell(mailbox(server, ADA))
    assert isinstance(outcome, Retry)
    assert (outcome.category, outcome.sure) == (Category.BROKEN, True)


async def test_a_sender_that_is_refused_is_for_a_person(server: SmtpFake) -> None:
    server.senders_refused.add("tocsin@example.com")
    outcome = await tell(mailbox(server, ADA))
    assert isinstance(outcome, Rejected)
    assert outcome.category is Category.MISCONFIGURED


async def test_storms_and_restarts_end_in_one_thread_for_each(server: SmtpFake) -> None:
    server.greylisted.add(BOB)
    server.fails(MailFault("sender", "421 4.3.0 busy"), MailFault("sender", ""), MailFault(reply="", taking=True))
    policies = {"pager": Policy(backoff=Backoff(5, 20), timeout_ms=2_000, breaker_failures=99)}
    outbox = Outbox(policies)
    for n, action in enumerate(["trigger", "resolve"]):
        outbox.offer([notification(f"n{n}", action=action)], time.time_ns() // 1_000_000)
        owed = snapshot(outbox)
        await drained(outbox, mailbox(server, ADA, BOB))
        outbox = Outbox(policies)
        restore(outbox, owed)
        await drained(outbox, mailbox(server, ADA, BOB))
    for person in (ADA, BOB):
        (thread,) = server.threads(person).values()
        assert [m["Subject"].split()[0] for m in thread] == ["[PAGE]", "[Resolved]"]
    assert outbox.counters["perhaps_twice"] >= 1


async def drained(outbox: Outbox, box: Mailbox) -> None:
    done = asyncio.Event()
    delivery = Delivery({"pager": box}, SmtpExchange(), changed=lambda: done.set() if not len(outbox) else None)
    delivery.add(outbox)
    task = asyncio.create_task(delivery.run())
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
