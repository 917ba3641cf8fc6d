"""Registry: a stand-in of a schema registry that can go away and come back on the same port.

What: the one request that the platform makes, GET /schemas/ids/N, for the schema that is registered, and for one that breaks
it, as somebody may register it where nobody looks. Why: what a
registry's outage costs can't be seen with one that is always there; that the platform understands real ones is shown with
Apicurio in tests/integration. It refuses to register anything.
"""

from __future__ import annotations

import http.server
import io
import json
import threading
from pathlib import Path
from typing import Any, Self

import fastavro

from demo.audit import AVRO
from demo.wire import body
from local.process import free_port

SCHEMA_ID, BROKEN_ID = 11, 12
POLL_S = 0.02


class Registry:
    """The server. A context manager; it is up when entered."""

    def __init__(self, schema: Path = AVRO / "telemetry_batch.avsc") -> None:
        self.port = free_port()
        self.told = 0  # how often the schema was asked for
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
        if path == f"/schemas/ids/{SCHEMA_ID}":
            self.told += 1
            return 200, json.dumps({"schema": self._schema}).encode()
        if path == f"/schemas/ids/{BROKEN_ID}":
            return 200, json.dumps({"schema": json.dumps(broken(json.loads(self._schema)))}).encode()
        return 404, b'{"error_code": 40403}'


def broken(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema, in which a source is a number: nobody who knows the old one can read what it writes."""
    fields = [one | {"type": "long", "default": 0} if one["name"] == "source" else one for one in schema["fields"]]
    return schema | {"fields": fields}


def breaking(value: bytes) -> bytes:
    """A good record, written by a producer that uses the broken schema."""
    schema = json.loads((AVRO / "telemetry_batch.avsc").read_text("utf-8"))
    row: Any = fastavro.schemaless_reader(io.BytesIO(value[body(value) :]), fastavro.parse_schema(schema), None)
    out = io.BytesIO(b"\0" + BROKEN_ID.to_bytes(4, "big"))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(broken(schema)), row | {"source": 7})
    return out.getvalue()


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
