"""The stateful Slack: what it refuses, and in which words; pages, threads, limits."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.fakes.receiver import Reply
from sinks.fakes.slack import HOOK_PATH, SlackFake

CHANNEL = "C0INCIDENTS"


@pytest.fixture
def slack() -> Iterator[SlackFake]:
    fake = SlackFake("t")
    yield fake
    fake.stop()


def post(slack: SlackFake, method: str = "chat.postMessage", at_ms: int = 1_000, **arguments: object) -> Reply:
    body = {"channel": CHANNEL, **({} if "." in method and "conv" in method else {"text": "x"}), **arguments}
    data = urllib.parse.urlencode(body).encode() if method.startswith("conv") else json.dumps(body).encode()
    return slack.reply(f"/api/{method}", data, at_ms)


def fields(reply: Reply) -> Any:
    return reply.body


def error(reply: Reply) -> str:
    assert not reply.taken
    return str(fields(reply)["error"])


def test_who_may_ask(slack: SlackFake) -> None:
    assert error(slack.admits("/api/x", {})) == "not_authed"  # type: ignore[arg-type]
    assert error(slack.admits("/api/x", {"authorization": "Bearer u"})) == "invalid_auth"  # type: ignore[arg-type]
    assert slack.admits("/api/x", {"authorization": "Bearer t"}) is None
    assert slack.admits(HOOK_PATH, {}) is None


def test_a_thread(slack: SlackFake) -> None:
    root = fields(post(slack, metadata={"event_type": "e", "event_payload": {}}))["ts"]
    reply = fields(post(slack, thread_ts=root, text="y"))["ts"]
    post(slack, thread_ts=root, text="z", reply_broadcast=True)
    assert float(reply) > float(root)
    history = fields(post(slack, "conversations.history", include_all_metadata="true"))["messages"]
    assert [m["text"] for m in history] == ["z", "x"]
    assert history[1]["metadata"] == {"event_type": "e", "event_payload": {}}
    assert "metadata" not in fields(post(slack, "conversations.history"))["messages"][1]
    assert [m["text"] for m in fields(post(slack, "conversations.replies", ts=root))["messages"]] == ["x", "y", "z"]
    late = fields(post(slack, "conversations.replies", ts=root, oldest=float(reply)))["messages"]
    assert [m["text"] for m in late] == ["x", "z"]
    assert error(post(slack, "conversations.replies", ts="9.9")) == "thread_not_found"
    assert error(post(slack, thread_ts="9.9")) == "thread_not_found"


def test_an_edit_keeps_what_it_does_not_name(slack: SlackFake) -> None:
    root = fields(post(slack, metadata={"event_type": "e", "event_payload": {}}))["ts"]
    assert fields(post(slack, "chat.update", ts=root, text="y"))["ok"]
    (message,) = slack.messages
    assert (message.text, message.metadata["event_type"], message.edits) == ("y", "e", 1)
    assert error(post(slack, "chat.update", ts="9.9")) == "message_not_found"
    assert error(post(slack, "chat.update", ts=root, text="")) == "no_text"


def test_pages(slack: SlackFake) -> None:
    for n in range(5):
        post(slack, text=str(n), at_ms=1_000 * (n + 1))
    first = fields(post(slack, "conversations.history", limit=2))
    assert ([m["text"] for m in first["messages"]], first["has_more"]) == (["4", "3"], True)
    cursor = first["response_metadata"]["next_cursor"]
    second = fields(post(slack, "conversations.history", limit=2, cursor=cursor))
    assert [m["text"] for m in second["messages"]] == ["2", "1"]
    assert [m["text"] for m in fields(post(slack, "conversations.history", oldest=3.5))["messages"]] == ["4", "3"]
    assert error(post(slack, "conversations.history", limit=1_000)) == "invalid_limit"


def section(**fields: object) -> list[object]:
    return [{"blocks": [{"type": "section", **fields}]}]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"attachments": section()}, "invalid_blocks"),
        ({"attachments": section(text={"type": "mrkdwn", "text": ""})}, "invalid_blocks"),
        ({"attachments": section(text={"type": "mrkdwn", "text": "x" * 3_001})}, "invalid_blocks"),
        ({"attachments": section(fields=[{"type": "mrkdwn", "text": "x"}] * 11)}, "invalid_blocks"),
        ({"attachments": [{"blocks": [{"type": "dance"}]}]}, "invalid_blocks"),
        ({"attachments": [{"blocks": ["x"]}]}, "invalid_blocks"),
        ({"attachments": section(text={"type": "mrkdwn", "text": "x" * 3_000}) * 5}, "msg_blocks_too_long"),
        ({"metadata": {"event_type": "x"}}, "invalid_metadata_format"),
        ({"metadata": {"event_type": "x", "event_payload": {"a": "y" * 9_000}}}, "metadata_too_large"),
        ({"channel": "C0NOWHERE"}, "channel_not_found"),
    ],
)
def test_what_it_refuses(slack: SlackFake, change: dict[str, object], word: str) -> None:
    assert error(post(slack, **change)) == word
    assert slack.messages == []


def test_where_the_bot_may_not_be(slack: SlackFake) -> None:
    slack.channels[CHANNEL].archived = True
    assert error(post(slack)) == "is_archived"
    slack.channels[CHANNEL].member = False
    assert error(post(slack)) == "not_in_channel"
    slack.scopes.clear()
    assert fields(post(slack, "conversations.history"))["needed"] == "channels:history"
    assert error(post(slack, "users.list")) == "unknown_method"
    assert error(slack.reply("/api/chat.postMessage", b"[", 0)) == "invalid_json"
    assert error(slack.reply("/api/conversations.history", b"&", 0)) == "invalid_form_data"


def test_limits() -> None:
    slack = SlackFake("t", burst=2)
    assert [post(slack).status for _ in range(3)] == [200, 200, 429]
    assert post(slack).headers == {"retry-after": "1"}
    assert post(slack, at_ms=2_000).status == 200
    assert post(slack, at_ms=2_000).status == 429
    replies = [post(slack, "conversations.history", at_ms=n) for n in range(51)]
    assert [reply.status for reply in replies] == [200] * 50 + [429]
    assert post(slack, "conversations.history", at_ms=60_000).status == 200
    slack.stop()


def test_the_webhook(slack: SlackFake) -> None:
    assert slack.reply(HOOK_PATH, b'{"text": "x"}', 0).body == "ok"
    assert [m.channel for m in slack.roots] == [CHANNEL]
    assert slack.reply(HOOK_PATH, b"{", 0) == Reply(400, "invalid_payload", taken=False)
    assert slack.reply(HOOK_PATH, b"{}", 0) == Reply(400, "no_text", taken=False)
    slack.channels[CHANNEL].archived = True
    assert slack.reply(HOOK_PATH, b'{"text": "x"}', 0).status == 410
