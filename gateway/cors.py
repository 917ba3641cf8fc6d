"""CORS: what a browser asks before it lets a page send, and hear the answer.

What: the answer to a preflight, and the headers that let a page of a known origin read what we said. Why: browsers keep
an answer from a page unless the server names the page's origin. It refuses the star, and cookies: an origin is echoed
only when somebody wrote it into the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from gateway.limits import PREFLIGHT_S


def preflight(method: str) -> web.Response:
    """204; without the headers of `allowed`, which are added for known origins, it allows nothing."""
    answer = web.Response(status=204)
    answer.headers["Access-Control-Allow-Methods"] = method
    answer.headers["Access-Control-Allow-Headers"] = "authorization, content-type, content-encoding"
    answer.headers["Access-Control-Max-Age"] = str(PREFLIGHT_S)
    answer.headers["Vary"] = "Origin"
    return answer


def allowed(origin: str) -> Mapping[str, str]:
    """Headers of an answer that a page of this origin may read."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After",
        "Vary": "Origin",
    }
