"""Message: an incident as Slack shows it: a sentence, a colour for its state, fields, a link, the command that explains.

What: a notification to `text` and one attachment of blocks, and to a line in the thread. Why an attachment: nothing else
in Slack has a colour. Why text too: it is what a phone shows. All that comes out of data is escaped, so that it can
neither mention anybody nor pose as a link, and bounded, so that Slack takes it. It refuses to cut silently: what is
shortened ends in an ellipsis.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping

from schemas.records import NotificationRecord
from sinks import limits
from sinks.port import plain
from sinks.wording import FIELDS, LINKS, state

COLOURS: Mapping[str, str] = {"page": "#c62828", "ticket": "#f9a825", "acknowledge": "#1565c0", "resolve": "#2e7d32"}
_ENTITIES: Mapping[str, str] = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escaped(text: str, most: int) -> str:
    """`text` as data in Slack's markup, at most `most` characters of it, an ellipsis in place of what is cut off."""
    pieces = [_ENTITIES.get(c, c) for c in plain(text[: most + 1])]
    if sum(map(len, pieces)) <= most:
        return "".join(pieces)
    kept, room = [], most - 1
    for piece in pieces:
        room -= len(piece)
        if room < 0:
            break
        kept.append(piece)
    return "".join(kept) + "…"


def headline(notification: NotificationRecord) -> str:
    """State and summary: what people read first, and all that some of them do."""
    return f"{state(notification)}: {escaped(notification.summary or notification.incident_id, limits.SLACK_TEXT_CHARS_MAX)}"


def colour(notification: NotificationRecord) -> str:
    """The colour of the incident's state."""
    return COLOURS.get(notification.action) or COLOURS.get(notification.severity, COLOURS["ticket"])


def calling(notification: NotificationRecord, mention: str) -> str:
    """The mention, where somebody has to wake up."""
    wakes = notification.severity == "page" and notification.action in ("trigger", "update")
    return f"{mention} " if mention and wakes else ""


def content(notification: NotificationRecord, link: str, mention: str = "") -> dict[str, object]:
    """`text` and `attachments` of the incident's message. `link`: an address for people, may be empty."""
    details = notification.details
    fields = [
        {
            "type": "mrkdwn",
            "text": f"*{title}*\n{escaped(details[name], limits.SLACK_FIELD_CHARS_MAX)}",
            "verbatim": True,
        }
        for name, title in FIELDS.items()
        if details.get(name)
    ]
    blocks: list[dict[str, object]] = []
    if details.get("description"):
        blocks.append(_section(escaped(details["description"], limits.SLACK_DESCRIPTION_CHARS_MAX)))
    if fields:
        blocks.append({"type": "section", "fields": fields})
    foot = [*_links(details, link), f"Incident {escaped(notification.incident_id, limits.SLACK_FIELD_CHARS_MAX)}"]
    if details.get("explain"):
        foot.append(f"`{escaped(details['explain'].replace('`', ' '), limits.SLACK_FIELD_CHARS_MAX)}`")
    blocks.append({"type": "context", "elements": [_markup(" · ".join(foot))]})
    return {
        "text": f"{calling(notification, mention)}{headline(notification)}",
        "attachments": [{"color": colour(notification), "blocks": blocks}],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def change(notification: NotificationRecord, mention: str = "") -> str:
    """What changed, as a line in the thread."""
    why = escaped(notification.details.get("why_now", ""), limits.SLACK_FIELD_CHARS_MAX)
    return f"{calling(notification, mention)}{headline(notification)}{f' ({why})' if why else ''}"


def _markup(text: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _section(text: str) -> dict[str, object]:
    return {"type": "section", "text": _markup(text)}


def _links(details: Mapping[str, str], link: str) -> list[str]:
    """Those details that are addresses, as links; one that is too long to be one is left to `tocsin explain`."""
    found = []
    for name, address in [*((name, details.get(name, "")) for name in LINKS), ("Tocsin", link)]:
        whole = _address(address)
        if whole:
            found.append(f"<{whole}|{name}>")
    return found


def _address(text: str) -> str:
    try:
        parts = urllib.parse.urlsplit(text)
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc or len(text) > limits.SLACK_LINK_CHARS_MAX:
        return ""
    return urllib.parse.quote(text, safe=":/?#[]@!$&'()*+,;=%~-._").replace("&", "&amp;") if text.isprintable() else ""
