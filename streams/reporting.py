"""Our own errors to Sentry: off unless a DSN is set, and nothing of the telemetry in them.

What: the start of Sentry's SDK, and the scrubbing of what it sends. Why: an ending worker says why to more than its log.
It refuses to send local variables, request bodies and breadcrumb data, since they may hold payloads or secrets; fields
whose names speak of secrets; values of such variables of the environment, passwords and queries of addresses, and
bytes, wherever in a text they stand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import cast

import sentry_sdk
from sentry_sdk.types import Event, Hint

SECRET_WORDS = ("key", "token", "secret", "password", "dsn", "authorization", "cookie")
SCRUBBED = "[scrubbed]"
SHORTEST_SECRET = 6  # a shorter value would take innocent words with it
DEEPEST = 40

#: Of an address: who and password, and all that follows a question mark. Of a message: bytes, as Python prints them.
ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+@|(?<=[\w/])\?[^\s'\"]+=[^\s'\"]*")
BYTES = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


def start(dsn: str, environment: Mapping[str, str] | None = None) -> None:
    """Switch reporting on; an empty DSN leaves it off."""
    if not dsn:
        return
    secrets = secrets_of(os.environ if environment is None else environment)

    def before_send(event: Event, hint: Hint) -> Event | None:
        return scrubbed(event, secrets)

    sentry_sdk.init(
        dsn=dsn,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=before_send,
        traces_sample_rate=0.0,
    )


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of variables whose names speak of secrets, the longest first."""
    found = {value for name, value in environment.items() if secret(name) and len(value) >= SHORTEST_SECRET}
    return tuple(sorted(found, key=len, reverse=True))


def secret(name: str) -> bool:
    """Whether a name speaks of a secret."""
    return any(word in name.lower() for word in SECRET_WORDS)


def scrubbed(event: Event, secrets: tuple[str, ...] = ()) -> Event:
    """The event without breadcrumb data, with what is secret in it replaced."""
    for crumb in event.get("breadcrumbs", {}).get("values", []):  # type: ignore[union-attr]
        crumb.pop("data", None)
    kept = {name: value if name in PLAIN else clean(value, secrets) for name, value in event.items()}
    return cast("Event", kept)


#: Fields of an event that are Sentry's own, and needed as they are.
PLAIN = frozenset({"event_id", "timestamp", "platform", "level", "sdk", "modules", "type"})


def clean(value: object, secrets: tuple[str, ...], depth: int = 0) -> object:
    """The same, scrubbed, however deep."""
    if isinstance(value, str):
        return text(value, secrets)
    if isinstance(value, bytes) or depth > DEEPEST:
        return SCRUBBED
    if isinstance(value, Mapping):
        return {
            name: SCRUBBED if isinstance(name, str) and secret(name) else clean(one, secrets, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [clean(one, secrets, depth + 1) for one in value]
    return value


def text(found: str, secrets: tuple[str, ...]) -> str:
    """A text without the values that are secret, and without bytes."""
    for value in secrets:
        found = found.replace(value, SCRUBBED)
    return BYTES.sub(SCRUBBED, ADDRESS.sub(SCRUBBED, found))
