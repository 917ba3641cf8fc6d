"""Tokens: how long one lives, and for whom it speaks, as far as it says so itself.

What: the claims of a JWT, read and not judged: the broker judges. Why: a Kafka client has to say until when its token
holds. It refuses to trust a claim further than a day, and to need one: a token that is no JWT is asked for again in a
minute.
"""

from __future__ import annotations

import base64
import binascii
import json
import time

from access.limits import TOKEN_MOST_S, TOKEN_S


def claims(token: str) -> dict[str, object]:
    """What a JWT says; {} for a token of another form."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def ends_at(token: str, now: float) -> float:
    """Seconds since the epoch until which a token is taken to hold."""
    told = claims(token).get("exp")
    known = isinstance(told, (int, float)) and not isinstance(told, bool)
    return min(float(told), now + TOKEN_MOST_S) if known else now + TOKEN_S  # type: ignore[arg-type]


def handed_over(token: str) -> tuple[str, float]:
    """A token in the form that librdkafka's callback answers with. Raises ValueError for one that is over."""
    now = time.time()
    ends = ends_at(token, now)
    if ends <= now:
        raise ValueError("the token has expired: whoever keeps its file fresh has not")
    return token, ends
