"""Answers: verdicts and refusals as HTTP.

What: JSON bodies, Retry-After, and whether the connection stays. Why: every door answers in the same words. It refuses
to say more than the reason: no trace, no host name, nothing out of the credentials.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from aiohttp import web

from gateway.refusal import Refusal
from gateway.verdicts import REFUSED, Verdict


def as_json(status: int, value: object) -> web.Response:
    """A JSON answer."""
    return web.Response(
        status=status, body=json.dumps(value, separators=(",", ":")).encode(), content_type="application/json"
    )


def verdicts_answer(verdicts: Sequence[Verdict]) -> web.Response:
    """200: how many were accepted and refused, and the verdict of each record in the order of the body."""
    no = sum(verdict.status == REFUSED for verdict in verdicts)
    records = [verdict.plain() for verdict in verdicts]
    return as_json(200, {"accepted": len(verdicts) - no, "refused": no, "records": records})


def refusal_answer(refusal: Refusal) -> web.Response:
    """A whole request refused. The connection is closed where its body may not have been read to the end."""
    answer = as_json(refusal.status, {"error": refusal.reason, "detail": refusal.detail})
    if refusal.retry_after_s:
        answer.headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="tocsin"'
    if refusal.status in (400, 408, 413, 415):
        answer.force_close()
    return answer
