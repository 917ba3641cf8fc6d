"""Bot: an incident as one message in a channel, edited as its state changes, with what changed in its thread.

    trigger                        chat.postMessage
    update, acknowledge, resolve   chat.update, then chat.postMessage into the thread
    an earlier attempt may have been taken: conversations.history (or .replies) is searched first

What: a dialogue with Slack's Web API. Why a search: Slack has no idempotency key that it documents, so each message
carries the ids of incident and notification as metadata, and what may have arrived is looked for before it is sent again.
Where it is not found, or cannot be looked for, it is sent: a duplicate beats a miss, and such a one is counted. It
refuses to search for ever, and to hold a page back for a search that fails again and again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import urllib.parse
import uuid
from collections.abc import Generator, Iterator, Mapping

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import (
    Answer,
    Before,
    Delivered,
    Outcome,
    Rejected,
    Request,
    Retry,
    Talk,
    Unsendable,
    identity,
)
from sinks.slack import answers, message
from sinks.slack.answers import Said

API = "https://slack.com/api/"
EVENT_TYPE = "tocsin_notification"
HISTORY, REPLIES = "conversations.history", "conversations.replies"
ACTIONS = frozenset({"trigger", "update", "acknowledge", "resolve"})
#: The message is there no more, or is not ours: the incident gets another.
GONE = frozenset({"message_not_found", "thread_not_found"})
#: The message stays as it is; the thread tells what changed.
FIXED = frozenset({"cant_update_message", "edit_window_closed"})
_PLACE = re.compile(r"([A-Z0-9]{2,32})/([0-9]{1,12}\.[0-9]{1,9})")

Asking = Generator[Request, Answer, Said]
#: What a search for an earlier message came to: its place in the channel ("": not there), whose notification it is, and
#: why it is not certain that it is not there ("": it is).
Found = tuple[str, str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class SlackBot:
    """An app's bot in one channel. `mention`: put before each page that is new or rose, as Slack writes it; `link`: where
    people find Tocsin; both may be empty."""

    channel: str
    token: str = dataclasses.field(repr=False)
    url: str = API
    mention: str = ""
    link: str = ""

    def tell(self, notification: NotificationRecord, before: Before) -> Talk:
        """Post, or edit and tell the thread; look first where an earlier attempt may have been taken."""
        if notification.action not in ACTIONS:
            raise Unsendable(f"unknown action {notification.action!r}")
        root, teller, doubt = self._known(before.incident), "", ""
        if not root and (before.unsure or notification.action != "trigger"):
            searched = yield from self._patiently(self._find_root(notification), before)
            if isinstance(searched, Retry):
                return searched
            root, teller, doubt = searched
        if root and teller == identity(notification.notification_id):
            return Delivered("it was there already", self._memo(root))
        if root:
            updated = yield from self._call("chat.update", {"ts": root, **message.content(notification, self.link)})
            if updated.ok or updated.word in FIXED:
                return (yield from self._thread(notification, before, root))
            if updated.word not in GONE:
                return updated.outcome
        return (yield from self._post(notification, doubt if before.unsure else ""))

    def _post(self, notification: NotificationRecord, doubt: str) -> Talk:
        """The incident's message."""
        shown = message.content(notification, self.link, self.mention)
        posted = yield from self._call("chat.postMessage", {**shown, **_marks(notification)})
        return self._delivered(posted, str(posted.fields.get("ts", "")), doubt)

    def _thread(self, notification: NotificationRecord, before: Before, root: str) -> Talk:
        """What changed, below the incident's message; for all to see in the channel when it became more severe."""
        doubt = ""
        if before.unsure:
            searched = yield from self._patiently(self._find_reply(notification, root), before)
            if isinstance(searched, Retry):
                return searched
            reply, _, doubt = searched
            if reply:
                return Delivered("it was there already", self._memo(root))
        arguments = {
            "thread_ts": root,
            "text": message.change(notification, self.mention),
            "reply_broadcast": notification.action == "update",
            "unfurl_links": False,
            "unfurl_media": False,
            **_marks(notification),
        }
        return self._delivered((yield from self._call("chat.postMessage", arguments)), root, doubt)

    def _delivered(self, said: Said, root: str, doubt: str) -> Outcome:
        if not isinstance(said.outcome, Delivered):
            return said.outcome
        detail = f"message {self._memo(root)}" + (f"; perhaps twice: {doubt}" if doubt else "")
        return Delivered(detail, self._memo(root), perhaps_twice=bool(doubt))

    # -- where the incident's message is

    def _memo(self, root: str) -> str:
        return f"{self.channel}/{root}"

    def _known(self, memo: str) -> str:
        """The place that a memo names, unless it is of another channel."""
        match = _PLACE.fullmatch(memo)
        return match[2] if match and match[1] == self.channel else ""

    def _patiently(
        self, search: Generator[Request, Answer, Found | Outcome], before: Before
    ) -> Generator[Request, Answer, Found | Retry]:
        """A search that Slack does not let us do, or that failed often enough, is one that found nothing for certain.

        How often it failed is the delivery's memo.
        """
        failed = int(before.delivery) if re.fullmatch(r"[0-9]{1,3}", before.delivery) else 0
        if failed >= limits.SLACK_SEARCHES_MAX:
            search.close()
            return "", "", f"{failed} searches failed"
        found = yield from search
        if isinstance(found, Rejected):
            return "", "", f"it could not be looked for: {found.detail}"
        if isinstance(found, Retry):
            return dataclasses.replace(found, memo=str(failed + 1))
        assert not isinstance(found, Delivered)
        return found

    def _find_root(self, notification: NotificationRecord) -> Generator[Request, Answer, Found | Outcome]:
        """The incident's message. A trigger's is not older than the trigger; any other's may be."""
        since = {"oldest": _oldest(notification)} if notification.action == "trigger" else {}
        return (yield from self._search(HISTORY, since, ("incident", identity(notification.dedup_key))))

    def _find_reply(self, notification: NotificationRecord, root: str) -> Generator[Request, Answer, Found | Outcome]:
        """What this notification told the thread."""
        wanted = ("notification", identity(notification.notification_id))
        return (yield from self._search(REPLIES, {"ts": root, "oldest": _oldest(notification)}, wanted))

    def _search(
        self, method: str, where: Mapping[str, str], wanted: tuple[str, str]
    ) -> Generator[Request, Answer, Found | Outcome]:
        """The first message whose metadata has what is wanted, among so many pages."""
        name, value = wanted
        cursor = ""
        for _ in range(limits.SLACK_SEARCH_PAGES_MAX):
            page = {"limit": str(limits.SLACK_SEARCH_PAGE), "include_all_metadata": "true", "cursor": cursor, **where}
            said = yield from self._call(method, {key: text for key, text in page.items() if text}, reading=True)
            if not said.ok:
                return said.outcome
            for place, payload in _marked(said.fields, replies=method == REPLIES):
                if payload.get(name) == value:
                    return place, str(payload.get("notification", "")), ""
            cursor = _next_cursor(said.fields)
            if not cursor:
                return "", "", ""
        return "", "", f"{limits.SLACK_SEARCH_PAGES_MAX * limits.SLACK_SEARCH_PAGE} messages were searched"

    # -- one call

    def _call(self, method: str, arguments: Mapping[str, object], reading: bool = False) -> Asking:
        """One method of the Web API; those that read take a form."""
        arguments = {"channel": self.channel, **arguments}
        if reading:
            kind, body = "x-www-form-urlencoded", urllib.parse.urlencode(arguments).encode()
        else:
            kind, body = "json; charset=utf-8", json.dumps(arguments, ensure_ascii=False).encode("utf-8", "replace")
        headers = {"content-type": f"application/{kind}", "authorization": f"Bearer {self.token}"}
        return answers.of_web_api((yield Request("POST", f"{self.url}{method}", headers, body)))


def _oldest(notification: NotificationRecord) -> str:
    """Before this, in Slack's time, nothing can have been told of it; clocks may differ."""
    return str(max(0, (notification.created_ms - limits.SLACK_CLOCK_SLACK_MS) // 1000))


def _marks(notification: NotificationRecord) -> dict[str, object]:
    """By which the message is found again. `client_msg_id` is no documented argument, though documented errors speak of
    it: it may help, and nothing relies on it."""
    digest = hashlib.blake2b(notification.notification_id.encode("utf-8", "replace"), digest_size=16).digest()
    payload = {
        "incident": identity(notification.dedup_key),
        "notification": identity(notification.notification_id),
    }
    return {
        "metadata": {"event_type": EVENT_TYPE, "event_payload": payload},
        "client_msg_id": str(uuid.UUID(bytes=digest, version=4)),
    }


def _marked(fields: Mapping[str, object], replies: bool) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Place and payload of each message of ours. A reply may be shown in the channel too, and is no message of it."""
    messages = fields.get("messages")
    for one in messages if isinstance(messages, list) else []:
        metadata = one.get("metadata") if isinstance(one, dict) else None
        if not isinstance(metadata, dict) or metadata.get("event_type") != EVENT_TYPE:
            continue
        payload = metadata.get("event_payload")
        place, thread = one.get("ts"), one.get("thread_ts")
        if isinstance(place, str) and isinstance(payload, dict) and (replies or thread in (None, place)):
            yield place, payload


def _next_cursor(fields: Mapping[str, object]) -> str:
    metadata = fields.get("response_metadata")
    cursor = metadata.get("next_cursor") if isinstance(metadata, dict) else ""
    return cursor if isinstance(cursor, str) else ""
