"""Registry: a stand-in of a schema registry that can go away and come back on the same port.

What: the one request that the platform makes, GET /schemas/ids/N, for the one schema that is registered. Why: what a
registry's outage costs can't be seen with one that is always there; that the platform understands real ones is shown with
Apicurio in tests/integration. It refuses to register anything.
"""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Self

from demo.audit import AVRO
from local.process import free_port

SCHEMA_ID = 11
POLL_S = 0.02


class Registry:
    """The server. A context manager; it is up when entered."""

    def __init__(self, schema: Path = AVRO / "telemetry_batch.avsc") -> None:
        self.port = free_port()
        self.asked = 0
        self._schema = schema.read_text("utf-8")
        self._server: http.server.ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """As TOCSIN_REGISTRY_URL has it."""
        return f"http://127.0.0.1:{self.port}"

    def up(self) -> None:
        """Answer from now on."""
        if self._server is None:
            self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), _conversation(self))
            threading.Thread(target=self._server.serve_forever, args=(POLL_S,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *unused: object) -> None:
        self.down()

    def answer(self, path: str) -> tuple[int, bytes]:
        """Status and body."""
        self.asked += 1
        if path == f"/schemas/ids/{SCHEMA_ID}":
            return 200, json.dumps({"schema": self._schema}).encode()
        return 404, b'{"error_code": 40403}'


def _conversation(registry: Registry) -> type[http.server.BaseHTTPRequestHandler]:
    class Conversation(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = registry.answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            """Nothing."""

    return Conversation
