"""Receiver: what the fakes that speak HTTP are made of; a server in threads that notes each arrival and fails on request.

What: a server on 127.0.0.1, a log of arrivals with time and body, and a script of faults. Why faults live here: a
service fails in the same ways whatever it does, and "took it, then answered 500" is the one that doubles pages. It
refuses to follow its script by chance: faults come in the order in which they were asked for.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from sinks import limits

KEEP_ALIVE_S = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it came. `status`: what it was answered, 0 when it was not; `taken`: whether it had an effect."""

    at_ms: int
    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    taken: bool

    @property
    def fields(self) -> dict[str, object]:
        """The body as JSON object; empty when it is none."""
        with contextlib.suppress(ValueError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        return {}


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request instead of an answer.

    `status` 0: no answer, the connection is closed. `taking`: the receiver takes the request first. `delay_s`: before
    whatever it answers; longer than the sender's deadline it is a time-out.
    """

    status: int = 503
    taking: bool = False
    delay_s: float = 0.0
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Reply:
    """An answer: JSON body or plain text, and whether the request had an effect."""

    status: int
    body: Mapping[str, object] | str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    taken: bool = True


class Receiver:
    """A fake service; a context manager. `clock_ms` may be set to tell it the time."""

    path = "/"

    def __init__(self, port: int = 0) -> None:
        self.clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
        self.arrivals: collections.deque[Arrival] = collections.deque(maxlen=limits.FAKE_ARRIVALS_MAX)
        self._faults: collections.deque[Fault] = collections.deque()
        self._standing: Fault | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._server = _Server(("127.0.0.1", port), _conversation(self))
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where to send."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def fails(self, *faults: Fault) -> None:
        """The next requests meet these faults, one each."""
        with self._lock:
            self._faults.extend(faults)

    def stays(self, fault: Fault | None) -> None:
        """Every request meets this fault, until told otherwise (None)."""
        with self._lock:
            self._standing = fault

    def start(self) -> Self:
        """Serve in the background."""
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fake", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving, and close what is open; harmless when it does not serve."""
        self._ended.set()
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def log(self) -> list[Arrival]:
        """Every arrival so far, in order."""
        with self._lock:
            return list(self.arrivals)

    def admits(self, path: str, headers: Mapping[str, str]) -> Reply | None:
        """The answer to somebody who may not ask; None: whoever asks is let in."""
        return None

    def reply(self, path: str, body: bytes, at_ms: int) -> Reply:
        """What the service answers when nothing is wrong with it. One at a time."""
        raise NotImplementedError

    def receive(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Reply | None, float]:
        """Note a request; the reply (None: hang up) and how long to wait before it, in seconds."""
        with self._lock:
            at_ms = self.clock_ms()
            fault = self._faults.popleft() if self._faults else self._standing
            reply: Reply | None = None
            if fault is None or fault.taking:
                reply = self.admits(path, headers) or self.reply(path, body, at_ms)
            taken = reply is not None and reply.taken
            if fault is not None:
                reply = Reply(fault.status, {"message": "as scripted"}, fault.headers) if fault.status else None
            self.arrivals.append(Arrival(at_ms, path, dict(headers), body, reply.status if reply else 0, taken))
        return reply, fault.delay_s if fault is not None else 0.0

    def wait(self, seconds: float) -> None:
        """Wait, unless the server ends before."""
        if seconds:
            self._ended.wait(seconds)


class _Server(http.server.ThreadingHTTPServer):
    """Threads end with the process, and connections with the server."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], conversation: type[http.server.BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, conversation)

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """Remember the connection."""
        if isinstance(request, socket.socket):
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Forget the connection."""
        if isinstance(request, socket.socket):
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A sender that hung up is none of our business."""

    def server_close(self) -> None:
        """Close what is open."""
        super().server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _conversation(receiver: Receiver) -> type[http.server.BaseHTTPRequestHandler]:
    class Conversation(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = KEEP_ALIVE_S
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = int(self.headers.get("content-length") or 0)
            if size > limits.FAKE_BODY_BYTES_MAX:
                self.close_connection = True
                self._answer(Reply(413, {"message": "too large"}))
                return
            body = self.rfile.read(size)
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply, delay_s = receiver.receive(self.path, headers, body)
            receiver.wait(delay_s)
            if reply is None:
                self.close_connection = True
                return
            self._answer(reply)

        def _answer(self, reply: Reply) -> None:
            if isinstance(reply.body, str):
                kind, data = "text/plain", reply.body.encode()
            else:
                kind, data = "application/json", json.dumps(reply.body).encode()
            self.send_response(reply.status)
            for name, value in {"content-type": kind, **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing: arrivals are kept."""

    return Conversation


@contextlib.contextmanager
def serving(*receivers: Receiver) -> Iterator[None]:
    """All of them, for the length of the block."""
    with contextlib.ExitStack() as stack:
        for receiver in receivers:
            stack.enter_context(receiver)
        yield
