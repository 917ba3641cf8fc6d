"""Hook: each notification as a message of its own, through an incoming webhook.

What: one request, no edits and no threads: a webhook cannot. Why: its address is all that some teams get. It refuses
nothing that the bot takes; what may or may not have arrived is sent again, and Slack cannot tell that it is a repeat.
"""

from __future__ import annotations

import dataclasses
import json

from schemas.records import NotificationRecord
from sinks.port import Before, Delivered, Request, Talk, Unsendable
from sinks.slack import answers, message
from sinks.slack.bot import ACTIONS


@dataclasses.dataclass(frozen=True, slots=True)
class SlackHook:
    """One incoming webhook; its address is the secret. `mention`, `link`: as of `SlackBot`."""

    url: str = dataclasses.field(repr=False)
    mention: str = ""
    link: str = ""

    def tell(self, notification: NotificationRecord, before: Before) -> Talk:
        """The message; a repeat of one that may have arrived is counted."""
        if notification.action not in ACTIONS:
            raise Unsendable(f"unknown action {notification.action!r}")
        shown = message.content(notification, self.link, self.mention)
        body = json.dumps(shown, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"content-type": "application/json; charset=utf-8"}
        outcome = answers.of_webhook((yield Request("POST", self.url, headers, body)))
        if isinstance(outcome, Delivered) and before.unsure:
            return dataclasses.replace(outcome, detail=f"{outcome.detail}; perhaps twice", perhaps_twice=True)
        return outcome
