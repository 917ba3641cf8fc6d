"""The bot against a stateful Slack: one message an incident, a thread of changes, and nothing twice that can be looked for."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator

import pytest

from schemas.records import NotificationRecord
from sinks import limits
from sinks.delivery import Delivery, HttpExchange, converse
from sinks.fakes.receiver import Fault
from sinks.fakes.slack import SlackFake, SlackMessage
from sinks.lane import Policy
from sinks.outbox import Outbox
from sinks.outbox_state import restore, snapshot
from sinks.port import FIRST, Before, Category, Delivered, Outcome, Rejected, Response, Retry, Unsendable, identity
from sinks.retry import Backoff
from sinks.slack.bot import SlackBot
from sinks.slack.message import COLOURS
from tests.sinks.build import PAGE, notification

TOKEN = "xoxb-secret"
CHANNEL = "C0INCIDENTS"
UNSURE = Before(2, unsure=True)


@pytest.fixture
def slack() -> Iterator[SlackFake]:
    with SlackFake(TOKEN) as server:
        yield server


@pytest.fixture
async def exchange() -> AsyncIterator[HttpExchange]:
    found = HttpExchange()
    yield found
    await found.close()


@dataclasses.dataclass
class Told:
    bot: SlackBot
    exchange: HttpExchange

    async def __call__(self, record: NotificationRecord, before: Before = FIRST) -> Outcome:
        return await converse(self.bot.tell(record, before), self.exchange, 5.0)


@pytest.fixture
def tell(slack: SlackFake, exchange: HttpExchange) -> Told:
    return Told(SlackBot(CHANNEL, TOKEN, slack.url, "<!here>", "https://tocsin.example/"), exchange)


def memo(outcome: Outcome) -> str:
    assert isinstance(outcome, Delivered), outcome
    return outcome.memo


def methods(slack: SlackFake) -> list[str]:
    return [arrival.path.removeprefix("/api/") for arrival in slack.log()]


def only(slack: SlackFake) -> tuple[SlackMessage, list[str]]:
    (root,) = slack.roots
    return root, [reply.text for reply in slack.replies_to(root)]


async def test_a_life_is_one_message_and_its_thread(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification(severity="ticket")))
    for n, action in enumerate(["update", "acknowledge", "resolve"]):
        why = {"why_now": f"reason {n}"}
        assert memo(await tell(notification(f"m{n}", action=action, details=why), Before(incident=place))) == place
    root, thread = only(slack)
    assert (root.text, root.colour, root.edits) == ("Resolved: checkout burns 14.4x", COLOURS["resolve"], 3)
    assert thread == [
        "<!here> PAGE: checkout burns 14.4x (reason 0)",
        "Acknowledged: checkout burns 14.4x (reason 1)",
        "Resolved: checkout burns 14.4x (reason 2)",
    ]
    assert [reply.broadcast for reply in slack.replies_to(root)] == [True, False, False]
    assert methods(slack) == ["chat.postMessage", *["chat.update", "chat.postMessage"] * 3]
    assert place == f"{CHANNEL}/{root.ts}"


@pytest.mark.parametrize("fault", [Fault(500, taking=True), Fault(0, taking=True), Fault(503)])
async def test_a_message_whose_answer_was_lost_is_found(slack: SlackFake, tell: Told, fault: Fault) -> None:
    slack.fails(fault)
    assert isinstance(await tell(notification()), Retry)
    outcome = await tell(notification(), UNSURE)
    assert isinstance(outcome, Delivered)
    root, _ = only(slack)
    assert (outcome.memo, outcome.perhaps_twice) == (f"{CHANNEL}/{root.ts}", False)
    assert (outcome.detail == "it was there already") is fault.taking


@pytest.mark.parametrize("action", ["update", "acknowledge", "resolve"])
@pytest.mark.parametrize("lost", ["edit", "reply"])
async def test_a_change_whose_answer_was_lost_is_told_once(
    slack: SlackFake, tell: Told, action: str, lost: str
) -> None:
    place = memo(await tell(notification()))
    told = notification("n2", action=action)
    if lost == "edit":
        slack.fails(Fault(500, taking=True))
        assert isinstance(await tell(told, Before(incident=place)), Retry)
    else:
        talk = tell.bot.tell(told, Before(incident=place))
        answer = await tell.exchange(next(talk), 5.0)  # the edit is made
        await tell.exchange(talk.send(answer), 5.0)  # the reply is posted, and its answer never read
        talk.close()
    again = await tell(told, Before(2, unsure=True, incident=place))
    assert isinstance(again, Delivered)
    assert ((again.detail == "it was there already"), again.perhaps_twice) == (lost == "reply", False)
    assert len(only(slack)[1]) == 1


async def test_a_reply_shown_to_all_is_not_taken_for_the_incidents_message(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification()))
    await tell(notification("n2", action="update"), Before(incident=place))
    assert memo(await tell(notification("n3", action="resolve"))) == place
    root, thread = only(slack)
    assert (root.colour, len(thread)) == (COLOURS["resolve"], 2)


async def test_what_is_not_there_is_posted_and_then_certain(slack: SlackFake, tell: Told) -> None:
    outcome = await tell(notification(), UNSURE)
    assert isinstance(outcome, Delivered)
    assert not outcome.perhaps_twice
    assert methods(slack) == ["conversations.history", "chat.postMessage"]
    arguments = dict(urllib.parse.parse_qsl(slack.log()[0].body.decode()))
    assert arguments == {
        "channel": CHANNEL,
        "limit": "200",
        "include_all_metadata": "true",
        "oldest": str((PAGE.created_ms - limits.SLACK_CLOCK_SLACK_MS) // 1000),
    }


async def test_where_it_cannot_be_looked_for_it_is_sent_and_counted(slack: SlackFake, tell: Told) -> None:
    slack.scopes.discard("channels:history")
    outcome = await tell(notification(), UNSURE)
    assert isinstance(outcome, Delivered)
    assert outcome.perhaps_twice
    assert "perhaps twice: it could not be looked for: missing_scope (needed: channels:history)" in outcome.detail


async def test_a_search_that_fails_holds_a_page_back_only_so_often(slack: SlackFake, tell: Told) -> None:
    failed = ""
    for _ in range(limits.SLACK_SEARCHES_MAX):
        slack.fails(Fault(503))
        again = await tell(notification(), Before(9, unsure=True, delivery=failed))
        assert isinstance(again, Retry)
        failed = again.memo
    assert (slack.roots, failed) == ([], "6")
    outcome = await tell(notification(), Before(9, unsure=True, delivery=failed))
    assert isinstance(outcome, Delivered)
    assert outcome.perhaps_twice
    assert methods(slack)[-1] == "chat.postMessage"


async def test_a_search_ends(slack: SlackFake, tell: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SLACK_SEARCH_PAGE", 10)
    place = memo(await tell(notification()))
    for n in range(49):
        await tell(notification(f"o{n}", f"other{n}"))
    assert memo(await tell(notification("n2", action="resolve"))) == place  # on the last page
    assert methods(slack)[-7:-2] == ["conversations.history"] * 5
    await tell(notification("o50", "other50"))
    outcome = await tell(notification("n1"), UNSURE)
    assert isinstance(outcome, Delivered)
    assert (outcome.perhaps_twice, outcome.memo == place) == (True, False)


async def test_a_message_that_is_gone_is_made_anew(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification()))
    slack.messages.clear()
    after = memo(await tell(notification("n2", action="acknowledge"), Before(incident=place)))
    root, thread = only(slack)
    assert (root.text, thread) == ("Acknowledged: checkout burns 14.4x", [])
    assert after == f"{CHANNEL}/{root.ts}" != place


@pytest.mark.parametrize("before", ["C0OTHER/1.0", "nonsense", ""])
async def test_a_memo_of_another_channel_or_kind_means_nothing(slack: SlackFake, tell: Told, before: str) -> None:
    place = memo(await tell(notification()))
    assert memo(await tell(notification("n2", action="resolve"), Before(incident=before))) == place


async def test_a_second_trigger_of_an_incident_goes_into_its_thread(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification()))
    await tell(notification("copy"), Before(incident=place))
    assert only(slack)[1] == ["<!here> PAGE: checkout burns 14.4x"]


async def test_a_message_that_may_not_be_edited_still_gets_its_thread(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification()))
    slack._methods = {**slack._methods, "chat.update": lambda *_: refusal("edit_window_closed")}  # type: ignore[assignment]
    await tell(notification("n2", action="resolve"), Before(incident=place))
    assert only(slack)[1] == ["Resolved: checkout burns 14.4x"]


def refusal(word: str) -> object:
    from sinks.fakes.slack import _no

    return _no(word)


@pytest.mark.parametrize("what", ["token", "channel", "member", "archived"])
async def test_what_a_person_has_to_correct_is_said(slack: SlackFake, tell: Told, what: str) -> None:
    bot = tell.bot
    if what == "token":
        bot = dataclasses.replace(bot, token="wrong")
    elif what == "channel":
        bot = dataclasses.replace(bot, channel="C0NOWHERE")
    else:
        slack.channels[CHANNEL].member = what != "member"
        slack.channels[CHANNEL].archived = what == "archived"
    outcome = await Told(bot, tell.exchange)(notification())
    assert isinstance(outcome, Rejected)
    assert outcome.category is Category.MISCONFIGURED
    words = {"token": "invalid_auth", "channel": "channel_not_found", "member": "not_in_channel"}
    assert outcome.detail.startswith(f"{words.get(what, 'is_archived')}: ")
    assert TOKEN not in outcome.detail


async def test_a_limit_is_honoured_wherever_it_meets_us(exchange: HttpExchange) -> None:
    with SlackFake(TOKEN, burst=1) as slack:
        tell = Told(SlackBot(CHANNEL, TOKEN, slack.url), exchange)
        place = memo(await tell(notification()))
        outcome = await tell(notification("n2", action="resolve"), Before(incident=place))
        assert isinstance(outcome, Retry)
        assert (outcome.category, outcome.after_ms) == (Category.RATE_LIMITED, 1_000)
        assert slack.roots[0].edits == 1


async def test_one_deadline_for_all_that_is_said(slack: SlackFake, tell: Told) -> None:
    place = memo(await tell(notification()))
    slack.fails(Fault(200, delay_s=0.3), Fault(200, delay_s=60))
    began = time.monotonic()
    talk = tell.bot.tell(notification("n2", action="resolve"), Before(2, unsure=True, incident=place))
    outcome = await converse(talk, tell.exchange, 0.5)
    assert isinstance(outcome, Retry)
    assert time.monotonic() - began < 3


async def test_storms_and_restarts_end_in_one_message(slack: SlackFake, exchange: HttpExchange) -> None:
    """Faults at every step, and the outbox restored from its snapshot in between: one message, each change told once."""
    policies = {"pager": Policy(backoff=Backoff(5, 20), timeout_ms=400, breaker_failures=99)}
    bot = SlackBot(CHANNEL, TOKEN, slack.url)
    slack.fails(Fault(500, taking=True), Fault(503), Fault(0), Fault(200, taking=True, delay_s=1.0))
    outbox = Outbox(policies)
    records = [notification(f"n{n}", action=a) for n, a in enumerate(["trigger", "update", "acknowledge", "resolve"])]
    for round_, record in enumerate(records):
        outbox.offer([record], time.time_ns() // 1_000_000)
        owed = snapshot(outbox)
        await drained(outbox, bot, exchange)
        assert len(slack.roots) == 1
        if round_ % 2 == 0:  # as if it had been killed after it was told, and before that was in the log
            outbox = Outbox(policies)
            restore(outbox, owed)
            slack.fails(*([Fault(500), Fault(0, taking=True)] if round_ else []))
            await drained(outbox, bot, exchange)
    root, thread = only(slack)
    assert root.colour == COLOURS["resolve"]
    assert [text.partition(":")[0] for text in thread] == ["PAGE", "Acknowledged", "Resolved"]
    assert outbox.counters["perhaps_twice"] == 0
    assert outbox.memos == {}, "what is over is not remembered"


async def drained(outbox: Outbox, bot: SlackBot, exchange: HttpExchange) -> None:
    done = asyncio.Event()
    delivery = Delivery({"pager": bot}, exchange, changed=lambda: done.set() if not len(outbox) else None)
    delivery.add(outbox)
    task = asyncio.create_task(delivery.run())
    async with asyncio.timeout(20):
        await done.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_ids_travel_as_they_are_unless_they_are_odd() -> None:
    assert identity("incident-1") == "incident-1"
    odd = [identity(key) for key in ("x" * 65, "\ud800", "ü", "a\nb")]
    assert all(len(key) == 32 and key.isalnum() for key in odd)
    assert len(set(odd)) == 4


def test_requests_are_a_function_of_what_is_told() -> None:
    bot = SlackBot(CHANNEL, TOKEN)
    one, other = (next(bot.tell(PAGE, FIRST)) for _ in range(2))
    assert one == other
    fields = json.loads(one.body)
    assert fields["metadata"] == {
        "event_type": "tocsin_notification",
        "event_payload": {"incident": "incident-1", "notification": "n1"},
    }
    assert one.url == "https://slack.com/api/chat.postMessage"
    assert one.headers["authorization"] == f"Bearer {TOKEN}"
    with pytest.raises(Unsendable):
        next(bot.tell(notification(action="shout"), FIRST))


@pytest.mark.parametrize("body", [b"[]", b"{", b"<html>", b'{"ok": 1}', b""])
def test_nonsense_is_ambiguous(body: bytes) -> None:
    talk = SlackBot(CHANNEL, TOKEN).tell(PAGE, FIRST)
    next(talk)
    with pytest.raises(StopIteration) as ended:
        talk.send(Response(200, {}, body, 0))
    assert isinstance(ended.value.value, Retry)
    assert ended.value.value.category is Category.BROKEN


@pytest.mark.parametrize(
    "messages",
    ["x", [1], [{"metadata": []}], [{"metadata": {"event_type": "tocsin_notification", "event_payload": 1}}], [{}]],
)
def test_a_history_of_any_shape_is_read(messages: object) -> None:
    talk = SlackBot(CHANNEL, TOKEN).tell(PAGE, UNSURE)
    next(talk)
    body = json.dumps({"ok": True, "messages": messages, "response_metadata": 1}).encode()
    assert talk.send(Response(200, {}, body, 0)).url.endswith("chat.postMessage")
