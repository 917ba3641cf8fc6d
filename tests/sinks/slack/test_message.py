"""What Slack shows: nothing out of data can mention, link or grow beyond what Slack takes."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.fakes.slack import MESSAGE_MAX, _wrong
from sinks.slack.message import COLOURS, change, colour, content, escaped, headline
from tests.sinks.build import PAGE, notification, with_details


def test_a_page_says_what_burns_and_what_to_type_next() -> None:
    details = {**PAGE.details, "runbook": "https://wiki/x?a=1&b=2", "description": "The shop sells."}
    shown = content(with_details(details), "https://tocsin.example/", "<!here>")
    assert shown["text"] == "<!here> PAGE: checkout burns 14.4x"
    (attachment,) = shown["attachments"]  # type: ignore[misc]
    assert attachment["color"] == COLOURS["page"]
    description, fields, foot = attachment["blocks"]
    assert description["text"]["text"] == "The shop sells."
    assert [field["text"] for field in fields["fields"]] == [
        "*Service*\nshop",
        "*SLO*\ncheckout",
        "*Since*\n2023-11-14T22:12:00Z",
    ]
    assert foot["elements"][0]["text"] == (
        "<https://wiki/x?a=1&amp;b=2|runbook> · <https://tocsin.example/|Tocsin> · Incident incident-1 · "
        "`tocsin explain incident-1`"
    )


@pytest.mark.parametrize(
    ("action", "severity", "state", "shade"),
    [
        ("trigger", "page", "PAGE", "page"),
        ("update", "page", "PAGE", "page"),
        ("trigger", "ticket", "Ticket", "ticket"),
        ("trigger", "other", "Alert", "ticket"),
        ("acknowledge", "page", "Acknowledged", "acknowledge"),
        ("resolve", "none", "Resolved", "resolve"),
    ],
)
def test_states(action: str, severity: str, state: str, shade: str) -> None:
    record = notification(action=action, severity=severity)
    assert headline(record).startswith(f"{state}: ")
    assert colour(record) == COLOURS[shade]


@pytest.mark.parametrize(
    ("action", "severity", "called"),
    [("trigger", "page", True), ("update", "page", True), ("trigger", "ticket", False), ("resolve", "page", False)],
)
def test_only_a_page_that_is_new_or_rose_calls_somebody(action: str, severity: str, called: bool) -> None:
    assert change(notification(action=action, severity=severity), "<!here>").startswith("<!here> ") is called


def test_what_has_a_meaning_is_escaped() -> None:
    assert escaped("a & <!channel> <@U1>\x00\u202e\ud800", 100) == "a &amp; &lt;!channel&gt; &lt;@U1&gt;  ?"


def test_what_is_cut_off_is_shown_and_no_entity_is_cut_in_two() -> None:
    assert escaped("x" * 11, 10) == "x" * 9 + "…"
    assert escaped("&&&", 11) == "&amp;&amp;…"
    assert escaped("&&", 10) == "&amp;&amp;"


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "https://x/" + "y" * 800, "tocsin explain x", "https://", "https://[", "https://x/\n", ""],
)
def test_what_is_no_address_is_no_link(address: str) -> None:
    assert "|" not in json.dumps(content(with_details({"runbook": address}), ""))


def test_an_address_cannot_leave_its_link() -> None:
    foot = content(with_details({"runbook": "https://x/>|<!channel>ü"}), "")["attachments"][0]["blocks"][-1]  # type: ignore[index]
    assert foot["elements"][0]["text"].startswith("<https://x/%3E%7C%3C!channel%3E%C3%BC|runbook> · ")


def test_a_command_cannot_leave_its_quotes() -> None:
    foot = content(with_details({"explain": "x` *y*"}), "")["attachments"][0]["blocks"][-1]  # type: ignore[index]
    assert foot["elements"][0]["text"].endswith("`x  *y*`")


NAMES = st.sampled_from(["service", "slo", "groups", "burn", "why_now", "description", "runbook", "explain"])
TEXT = st.text(max_size=30) | st.text(alphabet="&<>ü😀", min_size=300, max_size=3_000)


@given(TEXT, TEXT, st.dictionaries(NAMES, TEXT))
def test_whatever_is_told_is_taken_by_slack(summary: str, incident: str, details: dict[str, str]) -> None:
    record = dataclasses.replace(PAGE, summary=summary, incident_id=incident, details=details)
    shown = content(record, "https://x/" + "y" * 300, "<!here>")
    assert _wrong(shown) == ""
    longest = {**dict.fromkeys(("service", "slo", "groups", "burn", "since", "budget_left"), "😀" * 900), **details}
    shown = content(with_details({**longest, "why_now": "&" * 900, "description": "😀" * 5_000}), "")
    utf16 = len(json.dumps(shown["attachments"], ensure_ascii=False).encode("utf-16-le")) // 2
    assert utf16 <= MESSAGE_MAX, "even if it counts what JavaScript counts"
