"""Answers: verdicts and refusals as HTTP.

What: JSON bodies, Retry-After, and whether the connection stays. Why: every door answers in the same words. It refuses
to say more than the reason: no trace, no host name, nothing out of the credentials.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from aiohttp import web

from gateway.quotas import REASON as QUOTA
from gateway.refusal import Refusal
from gateway.verdicts import REJECTED, RETRY, SPOOLED, Verdict


def as_json(status: int, value: object) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status, body=json.dumps(value, separators=(",", ":")).encode(), content_type="application/json"
    )


def put_off(later: Sequence[Verdict]) -> Refusal:
    """Where nothing else was to be done than what these verdicts put off: 429 or 503, for the longest of their times."""
    wait = max(verdict.retry_after_s for verdict in later)
    return Refusal(429 if later[0].reason == QUOTA else 503, later[0].reason, later[0].detail, wait)


def verdicts_answer(verdicts: Sequence[Verdict]) -> web.Response:
    """200: how many were stored, rejected and put off, and the verdict of each record in the order of the body.

    202, and how many wait on this gateway's disk, where Kafka does not have all of them yet.

    Raises Refusal where all were put off: then nothing was done, and the status says so.
    """
    later = [verdict for verdict in verdicts if verdict.status == RETRY]
    wait = max((verdict.retry_after_s for verdict in later), default=0)
    if later and len(later) == len(verdicts):
        raise put_off(later)
    no = sum(verdict.status == REJECTED for verdict in verdicts)
    plain = [verdict.plain() for verdict in verdicts]
    waiting = sum(verdict.status == SPOOLED for verdict in verdicts)
    counts = {"stored": len(verdicts) - no - len(later) - waiting, "rejected": no, "retry": len(later)}
    if waiting:
        counts["spooled"] = waiting
    answer = as_json(202 if waiting else 200, {**counts, "verdicts": plain})
    if later:
        answer.headers["Retry-After"] = str(wait)
    return answer


def refusal_answer(refusal: Refusal) -> web.Response:
    """A whole request refused. The connection is closed where its body may not have been read to the end."""
    answer = as_json(refusal.status, {"error": refusal.reason, "detail": refusal.detail})
    if refusal.retry_after_s:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    answer.headers.update(refusal.headers)
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    if refusal.status in (400, 408, 413, 415):
        answer.force_close()
    return answer
