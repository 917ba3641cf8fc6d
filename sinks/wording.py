"""Wording: the words for people that destinations share, so that one incident reads alike in a chat and in a mail.

What: a notification's state in a word, and the names of its details. Why here: destinations know nothing of each other. It
refuses markup, colours and lengths: those are each destination's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from schemas.records import NotificationRecord

_STATES: Final[Mapping[str, str]] = {"acknowledge": "Acknowledged", "resolve": "Resolved"}
_URGENT: Final[Mapping[str, str]] = {"page": "PAGE", "ticket": "Ticket"}
#: Details by their names in a notification, in the order in which they are shown.
FIELDS: Final[Mapping[str, str]] = {
    "service": "Service",
    "slo": "SLO",
    "groups": "Groups",
    "burn": "Burn",
    "since": "Since",
    "budget_left": "Budget left",
    "why_now": "Why now",
    "fallback_for": "Instead of",
    "fallback_because": "Because",
}
LINKS: Final = ("runbook", "dashboard")


def state(notification: NotificationRecord) -> str:
    """What has become of the incident, or how urgent it is."""
    return _STATES.get(notification.action) or _URGENT.get(notification.severity, "Alert")
