"""The channels file: values, every mistake with its place, and no secret in any message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.channels import BadChannels, parse_channels, read_channels
from sinks.email.mailbox import Mailbox
from sinks.pagerduty import ENQUEUE, PagerDuty
from sinks.slack.bot import API, SlackBot
from sinks.slack.hook import SlackHook
from sinks.webhook import Webhook

GOOD = """\
channels:
  - name: pagerduty
    kind: pagerduty
    routing_key_env: PD_KEY
    fallback: team
    fallback_after: 20s
  - name: team
    kind: webhook
    url_env: HOOK
    bearer_env: HOOK_TOKEN
    in_flight: 8
    per_minute: 60
    timeout: 2500ms
    give_up_after: 2h
    link: https://tocsin.example/
"""
UNKNOWN_FIELD = (
    "c.yaml:10:5: unknown field 'colour' in a webhook channel (known: bearer_env, fallback, fallback_after, "
    "give_up_after, in_flight, kind, link, name, per_minute, timeout, url, url_env)"
)
ENVIRONMENT = {"PD_KEY": "k" * 32, "HOOK": "https://hooks.example/s3cret", "HOOK_TOKEN": "t0ken"}


def problems(text: str, environment: dict[str, str] | None = None) -> list[str]:
    channels, found = parse_channels(text, "c.yaml", ENVIRONMENT if environment is None else environment)
    assert (channels is None) == bool(found)
    return [str(problem) for problem in found]


def one(*lines: str) -> str:
    return "channels:\n  - " + "\n    ".join(lines) + "\n"


def test_values() -> None:
    channels, found = parse_channels(GOOD, "c.yaml", ENVIRONMENT)
    assert found == []
    assert channels is not None
    assert channels.sinks == {
        "pagerduty": PagerDuty("k" * 32, ENQUEUE),
        "team": Webhook("team", "https://hooks.example/s3cret", "t0ken", "https://tocsin.example/"),
    }
    pager, team = channels.policies(4).values()
    assert (pager.per_minute, pager.fallback, pager.fallback_after_ms) == (30, "team", 20_000)
    assert (team.in_flight, team.per_minute, team.timeout_ms, team.give_up_after_ms) == (8, 15, 2_500, 7_200_000)


def test_a_file_can_be_checked_without_its_secrets() -> None:
    channels, found = parse_channels(GOOD, "c.yaml", None)
    assert (channels is not None, found) == (True, [])


def test_every_mistake_is_named_at_once() -> None:
    text = """\
channels:
  - name: Pager
    kind: pagerdty
  - name: team
    kind: webhook
    fallback: nobody
    timeout: soon
    in_flight: 0
    bearer: t0ken
    colour: red
  - name: team
    kind: webhook
    url: ftp://x
    url_env: HOOK
extra: 1
"""
    assert problems(text) == [
        "c.yaml:2:11: 'Pager' is no name for a channel (lower case letters, digits, '-' and '.', at most 63)",
        "c.yaml:3:11: there is no kind of channel 'pagerdty' (did you mean 'pagerduty'?)",
        "c.yaml:4:5: there is neither url nor url_env (say where to send)",
        "c.yaml:6:15: there is no channel 'nobody' to fall back to (known: team)",
        "c.yaml:7:14: timeout has to be a duration from 100 ms to 120000 ms (write it as in 30s)",
        "c.yaml:8:16: in_flight has to be a whole number from 1 to 64",
        "c.yaml:9:5: a secret does not belong into a file: bearer (name a variable in bearer_env)",
        UNKNOWN_FIELD,
        "c.yaml:11:11: channel 'team' is defined twice",
        "c.yaml:14:14: both url and url_env are given (keep one)",
        "c.yaml:15:1: unknown field 'extra' in the channels file (known: channels)",
    ]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("ftp://x/", "is no http or https address"),
        ("http://example.com/", "is plain http to another machine"),
        ("https://", "is no http or https address"),
        ("https://x:port/", "cannot be read"),
        ("'https://user:pw@x/'", "holds a password"),
    ],
)
def test_addresses(url: str, complaint: str) -> None:
    (problem,) = problems(one("name: team", "kind: webhook", f"url: {url}"))
    assert complaint in problem
    assert problem.startswith("c.yaml:4:10: the address ")


def test_loopback_may_be_plain() -> None:
    assert problems(one("name: team", "kind: webhook", "url: http://127.0.0.1:8080/x")) == []


@pytest.mark.parametrize(
    ("field", "complaint"),
    [
        ("k" * 32, "has to be the name of an environment variable"),
        ("MISSING", "environment variable MISSING is not set"),
        ("SHORT", "SHORT does not hold 32 characters"),
        ("LINES", "holds characters that no secret has"),
    ],
)
def test_secrets_are_complained_about_and_never_shown(field: str, complaint: str) -> None:
    environment = {"SHORT": "s3cret", "LINES": "s3cret\nx"}
    text = one("name: pd", "kind: pagerduty", f"routing_key_env: {field}")
    found = problems(text, environment)
    assert complaint in found[0]
    assert "s3cret" not in "".join(found)
    assert "k" * 32 not in "".join(found)


SLACK = ("name: chat", "kind: slack")


def test_slack_as_a_bot_and_as_a_webhook() -> None:
    environment = {"TOKEN": "xoxb-1", "HOOK": "https://hooks.example/s3cret"}
    text = one(*SLACK, "token_env: TOKEN", "channel: C024BE91L", "mention: here", "link: https://t.example/")
    text += "  - {name: hook, kind: slack, url_env: HOOK, mention: S012345}\n"
    channels, found = parse_channels(text, "c.yaml", environment)
    assert found == []
    assert channels is not None
    assert channels.sinks == {
        "chat": SlackBot("C024BE91L", "xoxb-1", API, "<!here>", "https://t.example/"),
        "hook": SlackHook("https://hooks.example/s3cret", "<!subteam^S012345>"),
    }
    assert {channel.policy.per_minute for channel in channels.by_name.values()} == {40}
    assert parse_channels(text, "c.yaml", None)[1] == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (
            (),
            "2:5: there is no way to reach Slack (token_env and channel for a bot, or url_env for an incoming webhook)",
        ),
        (("token_env: TOKEN",), "2:5: channel is missing (write its id, as in C024BE91L"),
        (
            ("channel: C024BE91L",),
            "2:5: token_env is missing (name the variable that holds the bot's token (xoxb-...))",
        ),
        (("channel: '#ops'", "token_env: TOKEN"), "4:14: '#ops' is no id of a channel"),
        (("channel: C024BE91L", "token_env: USER"), "5:16: USER does not hold a bot token"),
        (("channel: C024BE91L", "token_env: TOKEN", "mention: ada"), "6:14: 'ada' is nobody to mention"),
        (("channel: C024BE91L", "token: xoxb-1"), "5:5: a secret does not belong into a file: token"),
    ],
)
def test_mistakes_about_slack(fields: tuple[str, ...], complaint: str) -> None:
    found = problems(one(*SLACK, *fields), {"TOKEN": "xoxb-1", "USER": "xoxp-1"})
    assert any(problem.startswith(f"c.yaml:{complaint}") for problem in found), found


MAIL = ("name: mail", "kind: email")


@pytest.mark.parametrize(
    ("url", "port", "security"),
    [
        ("smtp://mail.example", 587, "starttls"),
        ("smtp://mail.example:25", 25, "starttls"),
        ("smtps://mail.example/", 465, "tls"),
        ("smtp://127.0.0.1:2525", 2525, "none"),
    ],
)
def test_mail(url: str, port: int, security: str) -> None:
    to = "to: [ada@example.com, bob@example.com, ada@example.com]"
    text = one(*MAIL, f"url: {url}", "from: t@example.com", to, "username_env: U", "password_env: P")
    channels, found = parse_channels(text, "c.yaml", {"U": "user", "P": "pass"})
    assert found == []
    assert channels is not None
    host, people = url.split("/")[2].split(":", maxsplit=1)[0], ("ada@example.com", "bob@example.com")
    assert channels.sinks["mail"] == Mailbox(host, port, security, "t@example.com", people, "user", "pass")
    assert parse_channels(text, "c.yaml", None)[1] == []


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"url": "https://mail.example"}, "4:10: the address is no smtp or smtps address"),
        ({"url": "smtp://u:pw@mail.example"}, "4:10: the address holds a password"),
        ({"url": "smtp://mail.example/x"}, "4:10: the address of a mail server is smtp://host:port"),
        ({"url": ""}, "5:5: there is neither url nor url_env (say where to send)"),
        ({"url": "smtp://mail.example:port"}, "4:10: the address cannot be read"),
        ({"from": "Tocsin <t@example.com>"}, "5:11: 'Tocsin <t@example.com>' is no e-mail address"),
        ({"from": "t@ex\u00e4mple.com"}, "5:11: 't@ex\u00e4mple.com' is no e-mail address"),
        ({"to": "[]"}, "6:9: to has to be a list of 1 to 50 texts"),
        ({"to": "[a@x, [b@x]]"}, "6:9: to has to be a list of 1 to 50 texts"),
        ({"to": "[a@x, 'b@x\\nBcc: c@x']"}, "6:9: 'b@x\\\\nBcc: c@x' is no e-mail address"),
        ({"to": '["b@x\\r\\nBcc: c@x"]'}, "6:9: 'b@x\\r\\nBcc: c@x' is no e-mail address"),
        ({"to": f"[{'a' * 65}@x]"}, "6:9: '" + "a" * 65),
        ({"password": "s3cret"}, "7:5: a secret does not belong into a file: password"),
        ({"password_env": "P"}, "2:5: username_env and password_env go together (name both, or neither)"),
    ],
)
def test_mistakes_about_mail(fields: dict[str, str], complaint: str) -> None:
    given = {"url": "smtps://mail.example", "from": "t@example.com", "to": "[ada@example.com]", **fields}
    found = problems(one(*MAIL, *(f"{name}: {text}" for name, text in given.items())), {"P": "pass"})
    assert any(problem.startswith(f"c.yaml:{complaint}") for problem in found), found
    assert "s3cret" not in "".join(found)


def test_a_circle_of_fallbacks_is_named() -> None:
    text = "channels:\n" + "".join(
        f"  - {{name: {name}, kind: webhook, url: 'https://x/', fallback: {other}}}\n"
        for name, other in ("ab", "bc", "ca")
    )
    assert len(problems(text)) == 3
    assert "a -> b -> c -> a" in problems(text)[0]
    assert "circle" in problems(one("name: a", "kind: webhook", "url: 'https://x/'", "fallback: a"))[0]


@pytest.mark.parametrize("text", ["", "[]", "channels: {}", "channels: []", "channels: [x]", "a: b", "channels: [{}]"])
def test_other_shapes_are_problems(text: str) -> None:
    assert problems(text)


@given(
    st.recursive(
        st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    )
)
def test_any_tree_has_an_answer(tree: object) -> None:
    problems(
        json.dumps(
            {
                "channels": [
                    tree,
                    {"name": "a", "kind": "webhook", "url": tree, "timeout": tree, "fallback": tree},
                    {"name": "b", "kind": "email", "url": tree, "from": tree, "to": tree, "username_env": tree},
                    {"name": "c", "kind": "slack", "token_env": tree, "channel": tree, "mention": tree},
                ]
            }
        )
    )


def test_reading_a_file(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    path.write_text(GOOD)
    assert set(read_channels(path, ENVIRONMENT).by_name) == {"pagerduty", "team"}
    path.write_text("channels: 1")
    with pytest.raises(BadChannels, match="1:11"):
        read_channels(path, None)
