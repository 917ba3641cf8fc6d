"""Issuer: a token endpoint and its keys, on this machine: the far end of OAUTHBEARER.

What: answers client credentials with a signed token, and shows the key that it is signed with. It refuses clients that
it does not know, and to be reachable from other machines.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "kafka"


class Issuer:
    """`clients`: secret by client id; a token's subject is the client. `asked`: (client, scope) of each token given."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        self.clients: dict[str, str] = {}
        self.lives_s = 3_600.0
        self.asked: list[tuple[str, str]] = []
        self.url = ""

    def token(self, subject: str, lives_s: float | None = None, **said: object) -> str:
        now = time.time()
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + (lives_s or self.lives_s)}
        return jwt.encode({**claims, **said}, self.key, "RS256", headers={"kid": "one"})

    def keys(self) -> dict[str, object]:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}

    def exchanged(self, authorization: str, form: dict[str, list[str]]) -> dict[str, object] | None:
        """A token for a client's credentials; None for others'."""
        kind, _, encoded = authorization.partition(" ")
        client, _, secret = base64.b64decode(encoded).decode().partition(":")
        if kind != "Basic" or form.get("grant_type") != ["client_credentials"] or self.clients.get(client) != secret:
            return None
        self.asked.append((client, form.get("scope", [""])[0]))
        return {"access_token": self.token(client), "token_type": "Bearer", "expires_in": int(self.lives_s)}


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers at `url`/token and `url`/keys."""
    issuer = Issuer()

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, issuer.keys())

        def do_POST(self) -> None:
            form = urllib.parse.parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            found = issuer.exchanged(self.headers.get("Authorization", ""), form)
            self._answer(200 if found else 401, found or {"error": "invalid_client"})

        def _answer(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
