"""Mailbox: the people of one channel, told by e-mail through one server.

What: a dialogue of one question; a memo says who has the message already. Why the memo: a server may take it for one
recipient and defer another (greylisting), and nobody shall get it again for that. A repeat after an answer that was lost
has the same Message-ID, by which mailboxes may know it, and is counted. It refuses to call it delivered while somebody
is still owed; who was refused for good is named.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping

from schemas.records import NotificationRecord
from sinks import limits
from sinks.email import message, replies
from sinks.port import (
    Before,
    Category,
    Delivered,
    Failure,
    Mail,
    Outcome,
    Rejected,
    Reply,
    Retry,
    Talk,
    Unsendable,
    shortened,
)

ACTIONS = frozenset({"trigger", "update", "acknowledge", "resolve"})
TOOK, REFUSED = "+", "-"


@dataclasses.dataclass(frozen=True, slots=True)
class Mailbox:
    """`security`: tls, starttls or none; `link`: where people find Tocsin, may be empty."""

    host: str
    port: int
    security: str
    sender: str
    recipients: tuple[str, ...] = dataclasses.field(repr=False)
    username: str = dataclasses.field(default="", repr=False)
    password: str = dataclasses.field(default="", repr=False)
    link: str = ""

    @property
    def url(self) -> str:
        """The server as an address, without its secrets."""
        return f"{'smtps' if self.security == 'tls' else 'smtp'}://{self.host}:{self.port}"

    def tell(self, notification: NotificationRecord, before: Before) -> Talk:
        """The message, to whoever is still owed it."""
        if notification.action not in ACTIONS:
            raise Unsendable(f"unknown action {notification.action!r}")
        fates = {recipient: _fate(recipient, before.delivery) for recipient in self.recipients}
        owed = tuple(recipient for recipient, fate in fates.items() if not fate)
        if not owed:
            return self._ended(fates, {}, "told before", before)
        data = message.composed(notification, self.sender, self.recipients, self.link)
        answer = yield self._mail(owed, data)
        if isinstance(answer, Failure):
            if answer.category is Category.MISCONFIGURED:
                return Rejected(answer.category, answer.detail)
            return Retry(answer.category, answer.detail, sure=answer.sure, memo=before.delivery)
        assert isinstance(answer, Reply)
        if not 200 <= answer.code < 300 and not answer.refused:
            outcome = replies.refusal(answer)
            return dataclasses.replace(outcome, memo=before.delivery) if isinstance(outcome, Retry) else outcome
        took = 200 <= answer.code < 300
        for recipient in owed:
            if recipient not in answer.refused:
                fates[recipient] = TOOK if took else ""
            elif not replies.is_later(answer.refused[recipient][0]):
                fates[recipient] = REFUSED
        return self._ended(fates, answer.refused, replies.line(answer.code, answer.text), before)

    def _mail(self, recipients: tuple[str, ...], data: bytes) -> Mail:
        return Mail(
            self.host,
            self.port,
            self.security,
            self.sender.rpartition("@")[2],
            self.username,
            self.password,
            self.sender,
            recipients,
            data,
        )

    def _ended(
        self, fates: Mapping[str, str], refused: Mapping[str, tuple[int, str]], said: str, before: Before
    ) -> Outcome:
        """What it means for the channel that some have it, some never will, and some perhaps later."""
        told = sum(fate == TOOK for fate in fates.values())
        never = [f"{one}{_because(refused.get(one))}" for one, fate in fates.items() if fate == REFUSED]
        later = [f"{one}{_because(refused.get(one))}" for one, fate in fates.items() if not fate]
        text = f"{told} of {len(fates)} told"
        text += f"; refused: {', '.join(never)}" if never else ""
        text += f"; later: {', '.join(later)}" if later else ""
        text = shortened(f"{text}; {said}", limits.DETAIL_CHARS_MAX)
        if later:
            memo = " ".join(f"{fate}{_short(one)}" for one, fate in fates.items() if fate)
            return Retry(Category.DEFERRED, text, memo=memo)
        if not told:
            return self._nobody(refused, text)
        return Delivered(text, perhaps_twice=before.unsure)

    def _nobody(self, refused: Mapping[str, tuple[int, str]], text: str) -> Outcome:
        """All were refused for good: as the first of them was."""
        code, why = next(iter(refused.values()), (550, ""))
        outcome = replies.refusal(Reply("recipients", code, why, {}))
        return dataclasses.replace(outcome, detail=text)


def _because(reply: tuple[int, str] | None) -> str:
    return f" ({shortened(replies.line(*reply), 80)})" if reply else ""


def _short(recipient: str) -> str:
    return hashlib.blake2b(recipient.encode(), digest_size=4).hexdigest()


def _fate(recipient: str, memo: str) -> str:
    """What the memo of earlier attempts says of a recipient: TOOK, REFUSED, or nothing."""
    words = memo.split()
    return next((fate for fate in (TOOK, REFUSED) if f"{fate}{_short(recipient)}" in words), "")
