"""A gateway that keeps the contract, and breaks off where a test says so. It stands for Kafka, too: what is stored is.

Each request takes the next of `script`: "ok", a status, "lost" (stored, and the connection ends without an answer),
"cut" (nothing stored, the connection ends), "short" (an answer with a verdict too few), "garbage" (no JSON), or
"some" (every other record is not judged). When the script is at its end, all is well.
"""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from demo.wire import Batch, NotARecord, read_batch

POISON = -666.0  # a value that this gateway rejects for good
UNBEARABLE = -999.0  # and one that makes the whole request a bad one


class Gateway:
    """What it was asked and what it stored."""

    def __init__(self) -> None:
        self.script: list[str] = []
        self.retry_after = "1"
        self.stored: dict[tuple[str, str, int], Batch] = {}
        self.statuses: list[int] = []
        self.requests: list[int] = []  # records in each
        self.paths: list[str] = []
        self.tokens: set[str] = set()
        self.encodings: Counter[str] = Counter()
        self.url = ""
        self.lock = threading.Lock()

    def judge(self, batches: list[Batch], mode: str) -> list[dict[str, str]]:
        """A verdict for each, in order."""
        found = []
        for place, batch in enumerate(batches):
            key = (batch.source, batch.boot, batch.sequence)
            if POISON in batch.value.tolist():
                found.append({"status": "rejected", "reason": "poison"})
            elif mode == "some" and place % 2:
                found.append({"status": "retry", "reason": "not yet"})
            elif key in self.stored:
                found.append({"status": "duplicate"})
            else:
                self.stored[key] = batch
                found.append({"status": "stored"})
        return found

    @property
    def values(self) -> list[float]:
        """Every value that is stored."""
        with self.lock:
            return [value for batch in self.stored.values() for value in batch.value.tolist()]


def counted(gateway: Gateway, metric: str, label: str) -> Counter[tuple[str, int]]:
    """(the label's value, outcome) -> how many measurements of the metric are stored."""
    found: Counter[tuple[str, int]] = Counter()
    with gateway.lock:
        for batch in gateway.stored.values():
            for place, outcome in zip(batch.series.tolist(), batch.outcome.tolist(), strict=True):
                name, _, _, _, labels = batch.identities[place]
                if name == metric:
                    found[dict(labels)[label], outcome] += 1
    return found


def split(body: bytes) -> list[Batch]:
    """The batches of a body. Raises NotARecord."""
    found, at = [], 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        found.append(read_batch(body[at + 4 : at + 4 + size]))
        at += 4 + size
    return found


def endpoint(gateway: Gateway) -> type[BaseHTTPRequestHandler]:
    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            with gateway.lock:
                self._answer()

        def _answer(self) -> None:
            packed = self.rfile.read(int(self.headers["Content-Length"]))
            gateway.paths.append(self.path)
            gateway.tokens.add(self.headers.get("Authorization", ""))
            gateway.encodings[self.headers.get("Content-Encoding", "")] += 1
            mode = gateway.script.pop(0) if gateway.script else "ok"
            if mode == "cut":
                self.close_connection = True
                return
            if mode.isdigit():
                self._send(int(mode), b"")
                return
            try:
                batches = split(gzip.decompress(packed))
            except (NotARecord, OSError):
                self._send(400, b"")
                return
            gateway.requests.append(len(batches))
            if any(UNBEARABLE in batch.value.tolist() for batch in batches):
                self._send(400, b"")
                return
            found = gateway.judge(batches, mode)
            if mode == "lost":
                self.close_connection = True
                return
            told = found[:-1] if mode == "short" else found
            self._send(200, b"<html>" if mode == "garbage" else json.dumps({"verdicts": told}).encode())

        def _send(self, status: int, text: bytes) -> None:
            gateway.statuses.append(status)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if status in (429, 503):
                self.send_header("Retry-After", gateway.retry_after)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *unused: object) -> None:
            """Silence."""

    return Endpoint


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Gateway]:
    """A gateway on a free port."""
    gateway = Gateway()
    server = ThreadingHTTPServer(("127.0.0.1", 0), endpoint(gateway))
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    gateway.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield gateway
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
