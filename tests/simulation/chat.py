"""A world whose second channel is a Slack: several requests a delivery, and no key by which it would know a repeat."""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from schemas import codec
from schemas.records import NotificationRecord
from sinks.channels import Channel, Channels
from sinks.fakes.receiver import Fault as Misbehaviour
from sinks.fakes.receiver import Reply
from sinks.fakes.slack import SlackFake
from sinks.port import Request
from sinks.slack.bot import SlackBot
from sinks.slack.message import COLOURS
from streams import topics
from tests.simulation.faults import Fault
from tests.simulation.platform import PlatformWorld

TOKEN = "xoxb-1"


class ChatWorld(PlatformWorld):
    """As its parent, with the channel `hook` in Slack."""

    def __init__(self, seed: int, faults: Sequence[Fault], number: int, workers: int = 2) -> None:
        super().__init__(seed, faults, number, workers)
        self.chat = SlackFake(TOKEN, burst=0, per_minute=0)
        bot = SlackBot("C0INCIDENTS", TOKEN, "http://chat/api/")
        pager = self.channels.by_name["pager"]
        self.channels = Channels({"pager": pager, "hook": Channel("hook", "slack", pager.policy, bot)})
        self.sinks = self.channels.sinks

    def begin(self) -> None:
        self.chat.clock_ms = lambda: self.now_ms
        super().begin()

    def end(self) -> None:
        self.chat.stop()
        super().end()

    def outage(self, fault: Fault) -> None:
        self.chat.stays(Misbehaviour(503 if fault.size < 0.5 else 0, taking=int(fault.size * 10) % 2 == 0))
        self.at(self.clock.s + 1.5 * fault.size, self.chat.stays, None)

    def receive(self, request: Request) -> Reply | None:
        parts = urlsplit(request.url)
        if parts.hostname != "chat":
            return super().receive(request)
        self.note("request", request.url, request.body)
        return self.chat.receive(parts.path, request.headers, request.body)[0]


def chatter(world: ChatWorld) -> Iterator[str]:
    """Each incident is one message that ends resolved, and each delivery was told once, unless that was counted."""
    counted, owed = set(), collections.defaultdict(set)
    for p in range(world.partitions):
        for record in world.broker.records(topics.NOTIFICATIONS, p):
            item = codec.decode(record.value)
            assert isinstance(item, NotificationRecord)
            if item.channel == "hook" and item.status == "delivered":
                owed[item.dedup_key].add(item.notification_id)
                if "perhaps twice" in item.response:
                    counted.add(item.dedup_key)
    shown = collections.defaultdict(list)
    for message in world.chat.messages:
        shown[message.metadata["event_payload"]["incident"]].append(message)
    for incident, messages in shown.items():
        roots = [message for message in messages if message.thread in ("", message.ts)]
        told = collections.Counter(message.metadata["event_payload"]["notification"] for message in messages)
        if roots[-1].colour != COLOURS["resolve"]:
            yield f"chat: {incident} is not shown as resolved"
        if owed[incident] - set(told):
            yield f"chat: {incident} was not told {owed[incident] - set(told)}"
        if incident not in counted and (len(roots) > 1 or max(told.values()) > 1):
            yield f"chat: {incident} has {len(roots)} messages and was told {dict(told)}"
