"""Kinds: which kinds of channels there are: the fields of each, its maker, and the limit that its far end documents.

What: a table; a new kind is one more row. Why: the channels file, its complaints and its list of known fields then need
no change. It refuses to read files.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping

from sinks import limits
from sinks.email.mailbox import Mailbox
from sinks.fields import LOOPBACK, UNKNOWN, Reader
from sinks.pagerduty import ENQUEUE, PagerDuty
from sinks.port import Destination
from sinks.slack.bot import API, SlackBot
from sinks.slack.hook import SlackHook
from sinks.webhook import Webhook

#: Fields of every kind.
COMMON = (
    "name",
    "kind",
    "url",
    "url_env",
    "fallback",
    "fallback_after",
    "timeout",
    "give_up_after",
    "in_flight",
    "per_minute",
    "link",
)
_MAIL_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*"
)
_SLACK_CHANNEL = re.compile(r"[CDG][A-Z0-9]{8,31}")
_SLACK_MENTION = re.compile(r"here|channel|([UW][A-Z0-9]{5,31})|(S[A-Z0-9]{5,31})")


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """`own`: its fields beside COMMON; `make`: the channel of that name; `per_minute`: sends, 0 for no limit."""

    own: tuple[str, ...]
    make: Callable[[Reader, str], Destination]
    per_minute: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """All that a channel of this kind may have."""
        return (*COMMON, *self.own)


def _pagerduty(read: Reader, name: str) -> Destination:
    key = read.secret("routing_key_env", "name the variable that holds the integration's routing key")
    if len(key) != limits.PAGERDUTY_ROUTING_KEY_CHARS:
        what = f"{read.text('routing_key_env')} does not hold {limits.PAGERDUTY_ROUTING_KEY_CHARS} characters"
        read.sheet.wrong(read.fields["routing_key_env"], what, "an Events API v2 routing key has that many")
    return PagerDuty(key, read.address(ENQUEUE), read.text("link"))


def _webhook(read: Reader, name: str) -> Destination:
    return Webhook(name, read.address(), read.secret("bearer_env"), read.text("link"))


def _slack(read: Reader, name: str) -> Destination:
    """A bot where there is a token or a channel, else an incoming webhook."""
    mention, link = _slack_mention(read), read.text("link")
    if "token_env" not in read.fields and "channel" not in read.fields:
        if "url" not in read.fields and "url_env" not in read.fields:
            hint = "token_env and channel for a bot, or url_env for an incoming webhook"
            read.sheet.wrong(read.at, "there is no way to reach Slack", hint)
            return SlackHook("")
        return SlackHook(read.address(), mention, link)
    token = read.secret("token_env", "name the variable that holds the bot's token (xoxb-...)")
    if token != UNKNOWN and not token.startswith("xoxb-"):
        what = f"{read.text('token_env')} does not hold a bot token"
        read.sheet.wrong(read.fields["token_env"], what, "a bot's token begins with xoxb-")
    channel = read.text("channel")
    if not _SLACK_CHANNEL.fullmatch(channel):
        what = f"{channel[:80]!r} is no id of a channel" if channel else "channel is missing"
        hint = "write its id, as in C024BE91L; Slack shows it at the end of the channel's details"
        read.sheet.wrong(read.fields.get("channel", read.at), what, hint)
    url = read.address(API)
    return SlackBot(channel, token, url if url.endswith("/") else f"{url}/", mention, link)


def _email(read: Reader, name: str) -> Destination:
    """Smtps is encrypted from the first byte; smtp by STARTTLS, and in the clear only to this machine."""
    parts = urllib.parse.urlsplit(read.address(schemes=("smtps", "smtp")))
    if parts.path.strip("/") or parts.query or parts.username:
        at = read.fields.get("url", read.fields.get("url_env", read.at))
        read.sheet.wrong(at, "the address of a mail server is smtp://host:port or smtps://host:port, and no more")
    security = "tls" if parts.scheme == "smtps" else "none" if parts.hostname in LOOPBACK else "starttls"
    port = parts.port or (465 if security == "tls" else 587)
    sender = _mail_address(read, "from", read.text("from"))
    recipients = read.texts("to", 1, limits.EMAIL_RECIPIENTS_MAX)
    for recipient in recipients:
        _mail_address(read, "to", recipient)
    if ("username_env" in read.fields) != ("password_env" in read.fields):
        read.sheet.wrong(read.at, "username_env and password_env go together", "name both, or neither")
    user, password = read.secret("username_env"), read.secret("password_env")
    return Mailbox(parts.hostname or "", port, security, sender, recipients, user, password, read.text("link"))


def _mail_address(read: Reader, field: str, address: str) -> str:
    local = address.rpartition("@")[0]
    long = len(address) > limits.EMAIL_ADDRESS_CHARS_MAX or len(local) > limits.EMAIL_LOCAL_PART_CHARS_MAX
    if long or not _MAIL_ADDRESS.fullmatch(address):
        what = f"{address[:80]!r} is no e-mail address" if address else f"{field} is missing"
        read.sheet.wrong(read.fields.get(field, read.at), what, "write it bare, as in oncall@example.com")
        return "nobody@unknown.invalid"
    return address


def _slack_mention(read: Reader) -> str:
    """As Slack writes it: everybody who is there, all of the channel, a user, or a user group."""
    word = read.text("mention")
    match = _SLACK_MENTION.fullmatch(word)
    if word and not match:
        hint = "here, channel, or the id of a user (U...) or of a user group (S...)"
        read.sheet.wrong(read.fields["mention"], f"{word[:80]!r} is nobody to mention", hint)
    if match is None:
        return ""
    return f"<@{word}>" if match[1] else f"<!subteam^{word}>" if match[2] else f"<!{word}>"


KINDS: Mapping[str, Kind] = {
    "email": Kind(("from", "to", "username_env", "password_env"), _email, limits.EMAIL_PER_MINUTE),
    "pagerduty": Kind(("routing_key_env",), _pagerduty, limits.PAGERDUTY_PER_MINUTE),
    "slack": Kind(("token_env", "channel", "mention"), _slack, limits.SLACK_PER_MINUTE),
    "webhook": Kind(("bearer_env",), _webhook),
}
