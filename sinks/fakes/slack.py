"""A Slack to tell in tests: a workspace with channels, messages, threads and limits, behind its Web API and one webhook.

What: the five calls that a channel needs, with the words in which they refuse. Why stateful: whether a retry doubles a
message is decided by what lies in the channel, and by whether a search finds it. It refuses to tell a repeat from news:
`client_msg_id` is not documented as an argument, so nothing may rely on it.
"""

from __future__ import annotations

import dataclasses
import json
import urllib.parse
from collections.abc import Callable, Mapping

from sinks.fakes.quota import Quota
from sinks.fakes.receiver import Receiver, Reply

TEXT_MAX, BLOCKS_MAX, SECTION_MAX, FIELDS_MAX, FIELD_MAX, MESSAGE_MAX = 40_000, 50, 3_000, 10, 2_000, 13_200
METADATA_MAX = 8_000
HOOK_PATH = "/services/T0/B0/secret"
EVERY_SCOPE = frozenset({"chat:write", "channels:history"})


@dataclasses.dataclass(slots=True)
class SlackMessage:
    """A message as the channel shows it. `thread`: the message it replies to, itself when it has replies, else empty."""

    channel: str
    ts: str
    text: str
    attachments: list[dict[str, object]]
    metadata: dict[str, object]
    thread: str = ""
    broadcast: bool = False
    edits: int = 0

    @property
    def colour(self) -> str:
        """Of its first attachment."""
        return str(self.attachments[0].get("color", "")) if self.attachments else ""


@dataclasses.dataclass(slots=True)
class SlackChannel:
    """A channel, and whether the bot may post there."""

    member: bool = True
    archived: bool = False


class SlackFake(Receiver):
    """The workspace. `burst`, `per_second`: messages to one channel; `per_minute`: each other method. 0: no limit."""

    path = "/api/"

    def __init__(
        self, token: str, port: int = 0, burst: int = 100, per_second: float = 1.0, per_minute: int = 50
    ) -> None:
        super().__init__(port)
        self.channels = {"C0INCIDENTS": SlackChannel()}
        self.messages: list[SlackMessage] = []
        self._newest = 0.0  # ts of the last message ever: none has it again, whatever was deleted
        self.scopes = set(EVERY_SCOPE)
        self.hook_removed = False
        self._token = token
        self._burst, self._per_second = burst, per_second
        self._quota = Quota(per_minute)
        self._room: dict[str, tuple[float, int]] = {}  # channel -> messages that it takes at once, as of
        self._methods: Mapping[str, Callable[[Mapping[str, object], int], Reply]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
        }

    @property
    def hook_url(self) -> str:
        """The incoming webhook of the first channel."""
        return self.url.removesuffix(self.path) + HOOK_PATH

    @property
    def roots(self) -> list[SlackMessage]:
        """What the channel itself shows, replies that are shown to all left out."""
        return [message for message in self.messages if message.thread in ("", message.ts)]

    def replies_to(self, root: SlackMessage) -> list[SlackMessage]:
        """The thread below a message."""
        return [message for message in self.messages if message.thread == root.ts != message.ts]

    def admits(self, path: str, headers: Mapping[str, str]) -> Reply | None:
        """The Web API wants a token."""
        if not path.startswith(self.path):
            return None
        sent = headers.get("authorization", "")
        if not sent:
            return _no("not_authed")
        return None if sent == f"Bearer {self._token}" else _no("invalid_auth")

    def reply(self, path: str, body: bytes, at_ms: int) -> Reply:
        """A method of the Web API by its name, or the webhook."""
        if path == HOOK_PATH:
            return self._hook(body, at_ms)
        method = path.removeprefix(self.path)
        if method not in self._methods:
            return _no("unknown_method")
        reading = method.startswith("conversations.")
        arguments = _form(body) if reading else _object(body)
        if arguments is None:
            return _no("invalid_form_data" if reading else "invalid_json")
        scope = "channels:history" if reading else "chat:write"
        if scope not in self.scopes:
            return _no("missing_scope", needed=scope)
        channel = self.channels.get(str(arguments.get("channel", "")))
        if channel is None:
            return _no("channel_not_found")
        if not channel.member:
            return _no("not_in_channel")
        wait_s = self._throttled(method, str(arguments["channel"]), at_ms)
        if wait_s:
            return Reply(429, {"ok": False, "error": "ratelimited"}, {"retry-after": str(wait_s)}, taken=False)
        return self._methods[method](arguments, at_ms)

    # -- limits

    def _throttled(self, method: str, channel: str, at_ms: int) -> int:
        """Seconds until this would be taken; 0: now, and it is counted."""
        if method == "chat.postMessage":
            if not self._burst:
                return 0
            room, as_of = self._room.get(channel, (float(self._burst), at_ms))
            room = min(float(self._burst), room + (at_ms - as_of) / 1000 * self._per_second)
            self._room[channel] = (room - 1 if room >= 1 else room, at_ms)
            return 0 if room >= 1 else max(1, -int(-(1 - room) // self._per_second))
        return self._quota.wait_s(method, at_ms)

    # -- methods

    def _post(self, arguments: Mapping[str, object], at_ms: int) -> Reply:
        wrong = _wrong(arguments)
        if self.channels[str(arguments["channel"])].archived:
            wrong = "is_archived"
        thread = str(arguments.get("thread_ts") or "")
        root = self._find(str(arguments["channel"]), thread) if thread else None
        if thread and root is None:
            wrong = "thread_not_found"
        if wrong:
            return _no(wrong)
        if root is not None:
            root.thread = root.ts
        message = self._made(arguments, at_ms)
        message.thread, message.broadcast = thread, arguments.get("reply_broadcast") is True
        return _yes(channel=message.channel, ts=message.ts, message=_shown(message))

    def _update(self, arguments: Mapping[str, object], at_ms: int) -> Reply:
        message = self._find(str(arguments["channel"]), str(arguments.get("ts", "")))
        if message is None:
            return _no("message_not_found")
        if wrong := _wrong(arguments):
            return _no(wrong)
        message.text, message.attachments = str(arguments.get("text", "")), _attachments(arguments)
        message.edits += 1
        metadata = arguments.get("metadata")
        message.metadata = metadata if isinstance(metadata, dict) else message.metadata
        return _yes(channel=message.channel, ts=message.ts, text=message.text)

    def _history(self, arguments: Mapping[str, object], at_ms: int) -> Reply:
        oldest = float(str(arguments.get("oldest") or 0))
        shown = [
            message
            for message in reversed(self.messages)
            if message.channel == arguments["channel"] and float(message.ts) > oldest
            if message.thread in ("", message.ts) or message.broadcast
        ]
        return _page(shown, arguments)

    def _replies(self, arguments: Mapping[str, object], at_ms: int) -> Reply:
        root = self._find(str(arguments["channel"]), str(arguments.get("ts", "")))
        if root is None:
            return _no("thread_not_found")
        oldest = float(str(arguments.get("oldest") or 0))
        return _page([root, *(reply for reply in self.replies_to(root) if float(reply.ts) > oldest)], arguments)

    def _hook(self, body: bytes, at_ms: int) -> Reply:
        if self.hook_removed:
            return Reply(404, "no_service", taken=False)
        arguments = _object(body)
        wrong = "invalid_payload" if arguments is None else _wrong(arguments)
        if arguments is None or wrong:
            return Reply(400, wrong, taken=False)
        channel = next(iter(self.channels))
        if self.channels[channel].archived:
            return Reply(410, "channel_is_archived", taken=False)
        self._made({**arguments, "channel": channel}, at_ms)
        return Reply(200, "ok")

    def _made(self, arguments: Mapping[str, object], at_ms: int) -> SlackMessage:
        self._newest = max(at_ms / 1000, self._newest + 0.0001)
        ts = f"{self._newest:.4f}"
        metadata = arguments.get("metadata")
        message = SlackMessage(
            str(arguments["channel"]),
            ts,
            str(arguments.get("text", "")),
            _attachments(arguments),
            metadata if isinstance(metadata, dict) else {},
        )
        self.messages.append(message)
        return message

    def _find(self, channel: str, ts: str) -> SlackMessage | None:
        return next((m for m in self.messages if m.channel == channel and m.ts == ts), None)


def _yes(**fields: object) -> Reply:
    return Reply(200, {"ok": True, **fields})


def _no(error: str, **fields: object) -> Reply:
    return Reply(200, {"ok": False, "error": error, **fields}, taken=False)


def _object(body: bytes) -> dict[str, object] | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _form(body: bytes) -> dict[str, object] | None:
    try:
        return dict(urllib.parse.parse_qsl(body.decode(), strict_parsing=True))
    except ValueError:
        return None


def _attachments(arguments: Mapping[str, object]) -> list[dict[str, object]]:
    found = arguments.get("attachments", [])
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _shown(message: SlackMessage, metadata: bool = False) -> dict[str, object]:
    found: dict[str, object] = {"type": "message", "ts": message.ts, "text": message.text}
    found |= {"thread_ts": message.thread} if message.thread else {}
    found |= {"attachments": message.attachments} if message.attachments else {}
    return found | ({"metadata": message.metadata} if metadata and message.metadata else {})


def _page(messages: list[SlackMessage], arguments: Mapping[str, object]) -> Reply:
    limit, begin = int(str(arguments.get("limit") or 100)), int(str(arguments.get("cursor") or 0))
    if not 1 <= limit <= 999:
        return _no("invalid_limit")
    metadata = arguments.get("include_all_metadata") == "true"
    more = begin + limit < len(messages)
    return _yes(
        messages=[_shown(message, metadata) for message in messages[begin : begin + limit]],
        has_more=more,
        response_metadata={"next_cursor": str(begin + limit) if more else ""},
    )


def _wrong(arguments: Mapping[str, object]) -> str:
    """The word for what is wrong with a message; empty when nothing is."""
    text, attachments = arguments.get("text", ""), _attachments(arguments)
    if not isinstance(text, str) or not (text or attachments):
        return "no_text"
    if len(text) > TEXT_MAX:
        return "msg_too_long"
    blocks = [block for one in attachments for block in _list(one.get("blocks"))]
    if len(blocks) > BLOCKS_MAX or not all(_block_is_right(block) for block in blocks):
        return "invalid_blocks"
    if len(json.dumps(attachments, ensure_ascii=False)) > MESSAGE_MAX:
        return "msg_blocks_too_long"
    metadata = arguments.get("metadata")
    if metadata is not None and not (isinstance(metadata, dict) and set(metadata) == {"event_type", "event_payload"}):
        return "invalid_metadata_format"
    return "metadata_too_large" if len(json.dumps(metadata)) > METADATA_MAX else ""


def _list(found: object) -> list[object]:
    return found if isinstance(found, list) else []


def _block_is_right(block: object) -> bool:
    if not isinstance(block, dict):
        return False
    if block.get("type") == "context":
        return 1 <= len(_list(block.get("elements"))) <= 10 and all(_text(e, SECTION_MAX) for e in block["elements"])
    fields = block.get("fields")
    if block.get("type") != "section" or ("text" not in block and not fields):
        return False
    if fields is not None and not (len(_list(fields)) <= FIELDS_MAX and all(_text(f, FIELD_MAX) for f in fields)):
        return False
    return "text" not in block or _text(block["text"], SECTION_MAX)


def _text(found: object, most: int) -> bool:
    if not isinstance(found, dict) or found.get("type") not in ("mrkdwn", "plain_text"):
        return False
    return isinstance(found.get("text"), str) and 1 <= len(found["text"]) <= most
