"""Script: `GET /tocsin.js`, what a web page loads to send its loads and errors.

What: browser/tocsin.js without its indentation, with the headers that let browsers keep it and any page load it. Why: the
script and the door that it talks to are of one version, and a page needs one line. It refuses nobody: a script is public, and
what it sends shows a key of its own.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from aiohttp import web

from gateway.identity import Identity
from gateway.limits import SCRIPT_AGE_S

PATH = "/tocsin.js"


class Script:
    """The route's work."""

    def __init__(self) -> None:
        text = files("gateway").joinpath("browser", "tocsin.js").read_text("utf-8")
        self.body = "\n".join(line.strip() for line in text.splitlines() if line.strip()).encode()
        self._tag = f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """The script, or 304 where the browser has it."""
        known = self._tag in (request.headers.get("If-None-Match") or "")
        answer = web.Response(status=304) if known else web.Response(body=self.body)
        if not known:
            answer.content_type, answer.charset = "text/javascript", "utf-8"
        answer.headers["ETag"] = self._tag
        answer.headers["Cache-Control"] = f"public, max-age={SCRIPT_AGE_S}"
        answer.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer
