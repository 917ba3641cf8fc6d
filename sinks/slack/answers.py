"""Answers: what Slack's answers mean. Most of its refusals come with status 200, and a word.

What: an answer to what it holds, Slack's word for what was wrong, and an outcome. Why a table of words: some are worth
another try, some are for a person who set the channel up, and the rest would be refused again. It refuses to guess: a
word that it does not know is a refusal.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping

from sinks.port import Answer, Category, Delivered, Outcome, Rejected, Response, Retry, said
from sinks.status import outcome_of, retry_after_ms

_TOKEN = "the token is not taken; put a valid one into the variable that the channel names"  # noqa: S105 - advice
_HOOK = "the webhook is gone; make another, and put its address into the variable that the channel names"
_INVITE = "check the channel's id, and invite the bot into it"
_ARCHIVED = "the channel is archived; choose another"
_RULES = "the workspace's rules forbid it; ask its administrators"
#: Slack's word -> what a person has to do.
FOR_A_PERSON: Mapping[str, str] = {
    **dict.fromkeys(("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"), _TOKEN),
    "not_allowed_token_type": "use a bot token",
    "missing_scope": "give the app the scope that is needed, and install it again",
    **dict.fromkeys(("not_in_channel", "channel_not_found"), _INVITE),
    **dict.fromkeys(("is_archived", "channel_is_archived"), _ARCHIVED),
    **dict.fromkeys(("no_service", "no_team", "no_active_hooks", "invalid_token"), _HOOK),
    **dict.fromkeys(
        (
            "access_denied",
            "accesslimited",
            "action_prohibited",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "messages_tab_disabled",
            "metadata_must_be_sent_from_app",
            "no_permission",
            "restricted_action",
            "restricted_action_non_threadable_channel",
            "restricted_action_read_only_channel",
            "restricted_action_thread_only_channel",
            "team_access_not_granted",
            "two_factor_setup_required",
        ),
        _RULES,
    ),
}
#: Slack's word -> worth another try. Some of it may have been done before the error.
AGAIN: Mapping[str, Category] = {
    **dict.fromkeys(("ratelimited", "rate_limited", "message_limit_exceeded"), Category.RATE_LIMITED),
    **dict.fromkeys(
        (
            "duplicate_channel_not_found",
            "duplicate_message_not_found",
            "fatal_error",
            "internal_error",
            "org_login_required",
            "request_timeout",
            "rollup_error",
            "service_unavailable",
            "team_added_to_org",
        ),
        Category.SERVER_ERROR,
    ),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """`fields`: what came; `word`: Slack's own for what was wrong, may be empty; `outcome`: what it means."""

    fields: Mapping[str, object]
    word: str
    outcome: Outcome

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return isinstance(self.outcome, Delivered)


def of_web_api(answer: Answer) -> Said:
    """An answer of a Web API method: JSON with `ok`."""
    if not isinstance(answer, Response) or not 200 <= answer.status < 300:
        return Said({}, "", outcome_of(answer))
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or not isinstance(fields.get("ok"), bool):
        detail = f"HTTP {answer.status} without Slack's answer: {said(answer.body)}"
        return Said({}, "", Retry(Category.BROKEN, detail))
    if fields["ok"]:
        return Said(fields, "", Delivered(f"HTTP {answer.status} ok"))
    word = said(str(fields.get("error", "")).encode("utf-8", "replace"))
    needed = said(str(fields.get("needed", "")).encode("utf-8", "replace"))
    detail = f"{word} (needed: {needed})" if needed else word or "no error was named"
    return Said(fields, word, meaning(word, detail, retry_after_ms(answer.headers, answer.at_ms)))


def of_webhook(answer: Answer) -> Outcome:
    """An answer of an incoming webhook: a status, and a word as text."""
    outcome = outcome_of(answer)
    if not isinstance(answer, Response) or not isinstance(outcome, Rejected):
        return outcome
    word = said(answer.body)
    return meaning(word, outcome.detail, None) if word in FOR_A_PERSON or word in AGAIN else outcome


def meaning(word: str, detail: str, after_ms: int | None) -> Outcome:
    """What a word of Slack's means, and what to do about it where a person can."""
    if word in AGAIN:
        return Retry(AGAIN[word], detail, after_ms)
    if word in FOR_A_PERSON:
        return Rejected(Category.MISCONFIGURED, f"{detail}: {FOR_A_PERSON[word]}")
    return Rejected(Category.REFUSED, detail)
