"""What a mail server's codes mean, by step."""

from __future__ import annotations

import pytest

from sinks.email.replies import refusal
from sinks.port import Category, Rejected, Reply, Retry


@pytest.mark.parametrize(
    ("step", "code", "text", "category"),
    [
        ("greeting", 421, "busy", Category.SERVER_ERROR),
        ("greeting", 421, "4.7.0 too many connections", Category.RATE_LIMITED),
        ("login", 454, "4.7.0 try later", Category.RATE_LIMITED),
        ("sender", 452, "4.3.1 full", Category.SERVER_ERROR),
        ("recipients", 450, "4.7.1 greylisted", Category.DEFERRED),
        ("recipients", 451, "4.3.0 trouble", Category.DEFERRED),
        ("data", 451, "4.3.0 trouble", Category.SERVER_ERROR),
    ],
)
def test_later(step: str, code: int, text: str, category: Category) -> None:
    outcome = refusal(Reply(step, code, text, {}))
    assert isinstance(outcome, Retry)
    assert (outcome.category, outcome.sure) == (category, True)
    assert outcome.detail == f"at the {step}: {code} {text}"


@pytest.mark.parametrize(
    ("step", "code", "text", "category"),
    [
        ("greeting", 554, "go away", Category.MISCONFIGURED),
        ("login", 535, "5.7.8 wrong", Category.MISCONFIGURED),
        ("sender", 550, "not yours", Category.MISCONFIGURED),
        ("recipients", 530, "log in first", Category.MISCONFIGURED),
        ("recipients", 554, "5.7.1 no relay", Category.MISCONFIGURED),
        ("recipients", 550, "5.1.1 no such user", Category.REFUSED),
        ("recipients", 551, "try <you@other>", Category.REDIRECTED),
        ("data", 552, "5.3.4 too large", Category.REFUSED),
    ],
)
def test_never(step: str, code: int, text: str, category: Category) -> None:
    outcome = refusal(Reply(step, code, text, {}))
    assert isinstance(outcome, Rejected)
    assert outcome.category is category


def test_what_a_server_says_is_one_short_line() -> None:
    detail = refusal(Reply("data", 554, "no\r\nway\x1b " + "x" * 999, {})).detail
    assert "\n" not in detail
    assert len(detail) < 400
