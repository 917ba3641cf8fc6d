"""Message: a notification as an e-mail: plain text, the same in small HTML, and headers by which it is known again.

What: bytes for the wire. Why these headers: the Message-ID is made of incident and notification, so that a repeat is the
same message to whoever compares; References lead to the incident's first message, so that all of them are one thread;
Auto-Submitted keeps answering machines quiet. Equal notifications give equal bytes, dates and boundaries included. It
refuses line breaks in headers and markup in data: what comes from data is text.
"""

from __future__ import annotations

import email.utils
import html
import urllib.parse
from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import Unsendable, identity, plain, shortened
from sinks.wording import FIELDS, LINKS, state

COLOURS: Mapping[str, str] = {"PAGE": "#c62828", "Acknowledged": "#1565c0", "Resolved": "#2e7d32"}
_FIELDS: Mapping[str, str] = {**FIELDS, "exemplars": "Exemplars", "explain": "Explain"}
_OTHER = "#f9a825"


def composed(notification: NotificationRecord, sender: str, recipients: tuple[str, ...], link: str) -> bytes:
    """The whole message. `sender`, `recipients`: bare addresses; `link`: an address for people, may be empty."""
    domain = sender.rpartition("@")[2]
    first = f"<tocsin.{identity(notification.dedup_key)}@{domain}>"
    own = f"<tocsin.{identity(notification.dedup_key)}.{identity(notification.notification_id)}@{domain}>"
    summary = plain(notification.summary or notification.incident_id)
    message = EmailMessage(SMTP)
    message["From"] = Address("Tocsin", addr_spec=sender)
    message["To"] = tuple(Address(addr_spec=one) for one in recipients)
    message["Subject"] = f"[{state(notification)}] {shortened(summary, limits.EMAIL_SUBJECT_CHARS_MAX)}"
    message["Date"] = email.utils.formatdate(notification.created_ms / 1000)
    if notification.action == "trigger":
        message["Message-ID"] = first
    else:
        message["Message-ID"] = own
        message["In-Reply-To"] = message["References"] = first
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["Importance"] = "high" if state(notification) == "PAGE" else "normal"
    message["X-Tocsin-Incident"] = identity(notification.incident_id)
    message["X-Tocsin-Notification"] = identity(notification.notification_id)
    message.set_content(_text(notification, summary, link), cte="quoted-printable")
    message.add_alternative(_html(notification, summary, link), subtype="html", cte="quoted-printable")
    message.set_boundary(f"tocsin-{identity(notification.notification_id)}")
    data = message.as_bytes()
    if len(data) > limits.EMAIL_BYTES_MAX:
        raise Unsendable(f"{len(data):,} bytes are more than {limits.EMAIL_BYTES_MAX:,}")
    return data


def _fields(details: Mapping[str, str]) -> list[tuple[str, str]]:
    return [
        (title, shortened(plain(details[name]), limits.EMAIL_FIELD_CHARS_MAX))
        for name, title in _FIELDS.items()
        if details.get(name)
    ]


def _links(details: Mapping[str, str], link: str) -> list[tuple[str, str]]:
    """Those details that are addresses; anything else in their place is left to `tocsin explain`."""
    found = [*((name.capitalize(), details.get(name, "")) for name in LINKS), ("Tocsin", link)]
    return [(title, address) for title, address in found if _is_address(address)]


def _is_address(text: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return False
    known = parts.scheme in ("http", "https") and bool(parts.netloc)
    return known and len(text) <= limits.EMAIL_FIELD_CHARS_MAX and plain(text) == text and " " not in text


def _text(notification: NotificationRecord, summary: str, link: str) -> str:
    details = notification.details
    lines = [f"{state(notification)}: {shortened(summary, limits.EMAIL_TEXT_CHARS_MAX)}", ""]
    if details.get("description"):
        lines += [shortened(plain(details["description"]), limits.EMAIL_TEXT_CHARS_MAX), ""]
    lines += [f"{title}: {text}" for title, text in _fields(details)]
    lines += [f"{title}: {address}" for title, address in _links(details, link)]
    lines += [f"Incident: {shortened(plain(notification.incident_id), limits.EMAIL_FIELD_CHARS_MAX)}"]
    return "\n".join(lines) + "\n"


def _html(notification: NotificationRecord, summary: str, link: str) -> str:
    details, word = notification.details, state(notification)
    rows = [(html.escape(title), html.escape(text)) for title, text in _fields(details)]
    for title, address in _links(details, link):
        target = html.escape(address)
        rows.append((html.escape(title), f'<a href="{target}">{target}</a>'))
    incident = shortened(plain(notification.incident_id), limits.EMAIL_FIELD_CHARS_MAX)
    rows.append(("Incident", html.escape(incident)))
    cells = "\n".join(f'<tr><th align="left" valign="top">{title}</th><td>{text}</td></tr>' for title, text in rows)
    described = html.escape(shortened(plain(details.get("description", "")), limits.EMAIL_TEXT_CHARS_MAX))
    return (
        f'<html><body style="font-family: sans-serif">\n'
        f'<p style="border-left: 6px solid {COLOURS.get(word, _OTHER)}; padding-left: 8px"><b>{html.escape(word)}:</b>\n'
        f"{html.escape(shortened(summary, limits.EMAIL_TEXT_CHARS_MAX))}</p>\n"
        f"<p>{described}</p>\n<table>\n{cells}\n</table>\n</body></html>\n"
    )
