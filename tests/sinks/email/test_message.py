"""What a mail program shows and compares: threads, repeats, nothing out of data that is more than text."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import re
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import NotificationRecord
from sinks import limits
from sinks.email.message import composed
from sinks.port import Unsendable
from tests.sinks.build import PAGE, notification, with_details

FROM, TO = "tocsin@example.com", ("ada@example.com", "bob@example.com")


def message(record: NotificationRecord = PAGE, link: str = "https://tocsin.example/") -> EmailMessage:
    found = email.message_from_bytes(composed(record, FROM, TO, link), policy=email.policy.default)
    return cast("EmailMessage", found)


def part(record: NotificationRecord, kind: str) -> str:
    body = message(record).get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


def test_a_page() -> None:
    details = {**PAGE.details, "runbook": "https://wiki/x?a=1&b=2", "description": "The shop <sells>."}
    record = with_details(details)
    found = message(record)
    assert found["Subject"] == "[PAGE] checkout burns 14.4x"
    assert (found["From"], found["To"]) == ("Tocsin <tocsin@example.com>", "ada@example.com, bob@example.com")
    assert found["Date"] == "Tue, 14 Nov 2023 22:13:21 -0000"
    assert found["Message-ID"] == "<tocsin.incident-1@example.com>"
    assert (found["Auto-Submitted"], found["Importance"]) == ("auto-generated", "high")
    assert part(record, "plain") == (
        "PAGE: checkout burns 14.4x\n\nThe shop <sells>.\n\nService: shop\nSLO: checkout\nSince: 2023-11-14T22:12:00Z\n"
        "Explain: tocsin explain incident-1\nRunbook: https://wiki/x?a=1&b=2\nTocsin: https://tocsin.example/\n"
        "Incident: incident-1\n"
    )
    shown = part(record, "html")
    assert "The shop &lt;sells&gt;." in shown
    assert '<a href="https://wiki/x?a=1&amp;b=2">https://wiki/x?a=1&amp;b=2</a>' in shown


def test_an_incident_is_a_thread_and_a_repeat_is_the_same_message() -> None:
    first, later, other = message(), message(notification("n2", action="resolve")), message(notification("n3", "i2"))
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert first["References"] is None
    assert len({first["Message-ID"], later["Message-ID"], other["Message-ID"]}) == 3
    assert later["Subject"].startswith("[Resolved] ")
    assert later["Importance"] == "normal"
    assert composed(PAGE, FROM, TO, "") == composed(dataclasses.replace(PAGE), FROM, TO, "")
    assert message(notification("n2", "odd id\r\nBcc: x", action="resolve"))["Bcc"] is None


def test_no_text_becomes_a_header() -> None:
    hostile = "x\r\nBcc: eve@evil.example\r\n\r\nbody"
    found = message(dataclasses.replace(PAGE, summary=hostile, incident_id="y\nX: z"))
    assert found["Bcc"] is None
    assert found["Subject"] == "[PAGE] x  Bcc: eve@evil.example    body"
    assert found["X"] is None


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "https://", "https://[", "https://x/ y", "https://x/\u202e"]
)
def test_what_is_no_address_is_no_link(address: str) -> None:
    record = dataclasses.replace(PAGE, details={"runbook": address})
    assert address not in part(record, "html").replace("https://tocsin.example/", "")


def test_too_much_is_shown_shortened_and_never_too_large() -> None:
    record = notification(summary="ü" * 9_000, details={"description": "x" * 9_000, "groups": "y" * 9_000})
    text = part(record, "plain")
    assert text.count("…") == 3
    assert len(composed(record, FROM, TO, "")) < limits.EMAIL_BYTES_MAX


def test_what_does_not_fit_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "EMAIL_BYTES_MAX", 100)
    with pytest.raises(Unsendable, match="more than 100"):
        composed(PAGE, FROM, TO, "")


TEXT = st.text(max_size=200)


@given(
    TEXT, TEXT, TEXT, st.dictionaries(st.sampled_from(["service", "groups", "explain", "runbook", "description"]), TEXT)
)
def test_whatever_is_told_is_seven_bit_and_whole(
    summary: str, incident: str, name: str, details: dict[str, str]
) -> None:
    record = dataclasses.replace(
        PAGE, summary=summary, incident_id=incident, dedup_key=incident, notification_id=name, details=details
    )
    data = composed(record, FROM, TO, "")
    assert data.isascii()
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in data.split(b"\r\n"))
    found = cast("EmailMessage", email.message_from_bytes(data, policy=email.policy.default))
    assert not found.defects
    assert [p.get_content_type() for p in found.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert re.fullmatch(r"<tocsin\.[A-Za-z0-9-]{1,64}@example\.com>", found["Message-ID"])
