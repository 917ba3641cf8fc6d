"""The incoming webhook: a message for each notification, and a repeat that is counted."""

from __future__ import annotations

from sinks.delivery import HttpExchange, converse
from sinks.fakes.receiver import Fault
from sinks.fakes.slack import SlackFake
from sinks.port import FIRST, Before, Category, Delivered, Rejected, Retry
from sinks.slack.hook import SlackHook
from sinks.slack.message import COLOURS
from tests.sinks.build import notification


async def test_each_notification_is_a_message() -> None:
    exchange = HttpExchange()
    with SlackFake("t") as slack:
        hook = SlackHook(slack.hook_url, "<!here>")
        for n, action in enumerate(["trigger", "resolve"]):
            outcome = await converse(hook.tell(notification(f"n{n}", action=action), FIRST), exchange, 5.0)
            assert outcome == Delivered("HTTP 200 ok")
        assert [m.text.partition(":")[0] for m in slack.roots] == ["<!here> PAGE", "Resolved"]
        assert slack.roots[1].colour == COLOURS["resolve"]
        slack.fails(Fault(500, taking=True))
        assert isinstance(await converse(hook.tell(notification(), FIRST), exchange, 5.0), Retry)
        repeat = await converse(hook.tell(notification(), Before(2, unsure=True)), exchange, 5.0)
        assert isinstance(repeat, Delivered)
        assert repeat.perhaps_twice
        slack.hook_removed = True
        gone = await converse(hook.tell(notification(), FIRST), exchange, 5.0)
        assert isinstance(gone, Rejected)
        assert gone.category is Category.MISCONFIGURED
        assert "secret" not in gone.detail
    await exchange.close()
