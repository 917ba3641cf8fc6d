"""Slack's words, sorted: again, for a person, never."""

from __future__ import annotations

import json

import pytest

from sinks.port import Category, Delivered, Failure, Outcome, Rejected, Response, Retry
from sinks.slack.answers import AGAIN, FOR_A_PERSON, meaning, of_web_api, of_webhook


def said(error: str, status: int = 200, **fields: object) -> Response:
    return Response(status, {}, json.dumps({"ok": False, "error": error, **fields}).encode(), 0)


@pytest.mark.parametrize("word", sorted(AGAIN))
def test_again(word: str) -> None:
    outcome = of_web_api(said(word)).outcome
    assert isinstance(outcome, Retry)
    assert outcome.category is (Category.RATE_LIMITED if "limit" in word else Category.SERVER_ERROR)


@pytest.mark.parametrize("word", sorted(FOR_A_PERSON))
def test_for_a_person(word: str) -> None:
    outcome = of_web_api(said(word)).outcome
    assert isinstance(outcome, Rejected)
    assert outcome.category is Category.MISCONFIGURED
    assert outcome.detail == f"{word}: {FOR_A_PERSON[word]}"


@pytest.mark.parametrize(
    "word", ["msg_too_long", "invalid_blocks", "no_text", "restricted_action_thread_locked", "", "?"]
)
def test_never(word: str) -> None:
    outcome = of_web_api(said(word)).outcome
    assert isinstance(outcome, Rejected)
    assert outcome.category is Category.REFUSED
    assert outcome.detail


def test_no_word_is_in_two_places() -> None:
    assert not set(AGAIN) & set(FOR_A_PERSON)


def test_a_missing_scope_is_named() -> None:
    found = of_web_api(said("missing_scope", needed="chat:write"))
    assert (found.ok, found.word) == (False, "missing_scope")
    assert "missing_scope (needed: chat:write): give the app the scope" in found.outcome.detail


def test_a_limit_in_a_good_status_says_when_too() -> None:
    answer = Response(200, {"retry-after": "9"}, b'{"ok": false, "error": "ratelimited"}', 0)
    assert meaning("ratelimited", "", 9_000) == Retry(Category.RATE_LIMITED, "", 9_000)
    assert of_web_api(answer).outcome == Retry(Category.RATE_LIMITED, "ratelimited", 9_000)


def test_what_is_no_answer_of_slack() -> None:
    assert isinstance(of_web_api(Failure(Category.TIMEOUT, "late")).outcome, Retry)
    assert isinstance(of_web_api(Response(502, {}, b"<html>", 0)).outcome, Retry)
    assert of_web_api(Response(200, {}, b'{"ok": true, "ts": "1.0"}', 0)).fields["ts"] == "1.0"


@pytest.mark.parametrize(
    ("status", "body", "kind", "category"),
    [
        (404, b"no_service", Rejected, Category.MISCONFIGURED),
        (410, b"channel_is_archived", Rejected, Category.MISCONFIGURED),
        (403, b"action_prohibited", Rejected, Category.MISCONFIGURED),
        (400, b"invalid_payload", Rejected, Category.REFUSED),
        (500, b"rollup_error", Retry, Category.SERVER_ERROR),
        (302, b"", Rejected, Category.REDIRECTED),
    ],
)
def test_words_of_a_webhook(status: int, body: bytes, kind: type[Outcome], category: Category) -> None:
    outcome = of_webhook(Response(status, {}, body, 0))
    assert isinstance(outcome, kind)
    assert not isinstance(outcome, Delivered)
    assert outcome.category is category
