"""Our own errors to Sentry: off unless a DSN is set, and nothing of the telemetry in them.

What: the start of Sentry's SDK, and the scrubbing of what it sends. Why: an ending worker says why to more than its log.
It refuses to send local variables, request bodies and breadcrumb data, since they may hold payloads or secrets.
"""

from __future__ import annotations

import sentry_sdk
from sentry_sdk.types import Event, Hint

SECRET_WORDS = ("key", "token", "secret", "password", "dsn", "authorization")


def start(dsn: str) -> None:
    """Switch reporting on; an empty DSN leaves it off."""
    if dsn:
        sentry_sdk.init(
            dsn=dsn,
            include_local_variables=False,
            max_request_body_size="never",
            before_send=scrubbed,
            traces_sample_rate=0.0,
        )


def scrubbed(event: Event, hint: Hint) -> Event | None:
    """The event without breadcrumb data, and with secrets in its extras replaced."""
    for crumb in event.get("breadcrumbs", {}).get("values", []):  # type: ignore[union-attr]
        crumb.pop("data", None)
    extra = event.get("extra", {})
    for name in extra:
        if any(word in name.lower() for word in SECRET_WORDS):
            extra[name] = "[scrubbed]"
    return event
