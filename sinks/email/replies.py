"""Replies: what a mail server's codes mean, for the whole message and for one recipient.

What: step, code and text to a category, and whether another try may help. Why by step: 550 at the sender is a channel that
is set up wrongly, and at a recipient one address that is. 4yz asks for another try and has taken nothing. It refuses to
read meaning into texts, but for the enhanced codes of RFC 3463 that begin them: 4.7 and 5.7 are the server's rules.
"""

from __future__ import annotations

import re

from sinks.port import Category, Outcome, Rejected, Reply, Retry, said

_ENHANCED = re.compile(r"[245]\.(\d{1,3})\.\d{1,3}\b")
_LOGIN = frozenset({530, 534, 535, 538})
MOVED = 551
ADVICE = {
    "login": "check user and password in the variables that the channel names",
    "sender": "the server does not let us send from this address",
    "greeting": "the server does not talk to us",
}


def line(code: int, text: str) -> str:
    """Code and text for people to read."""
    return f"{code} {said(text.encode('utf-8', 'replace'))}".rstrip()


def is_later(code: int) -> bool:
    """Whether the server asks for another try."""
    return 400 <= code < 500


def refusal(reply: Reply) -> Outcome:
    """What a reply means that took nothing."""
    text = f"at the {reply.step}: {line(reply.code, reply.text)}"
    if is_later(reply.code):
        return Retry(_later(reply.step, reply.text), text, sure=True)
    if reply.step in ADVICE or reply.code in _LOGIN or _subject(reply.text) == "7":
        return Rejected(
            Category.MISCONFIGURED, f"{text} ({ADVICE.get(reply.step, 'the rules of the server forbid it')})"
        )
    if reply.code == MOVED:
        return Rejected(Category.REDIRECTED, f"{text} (configure the address that it names)")
    return Rejected(Category.REFUSED, text)


def _later(step: str, text: str) -> Category:
    """A server that defers a recipient (greylisting) or names its rules works; otherwise it is in trouble."""
    if step == "recipients":
        return Category.DEFERRED
    return Category.RATE_LIMITED if _subject(text) == "7" else Category.SERVER_ERROR


def _subject(text: str) -> str:
    match = _ENHANCED.match(text)
    return match[1] if match else ""
