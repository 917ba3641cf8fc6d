"""Gateway transport: batches over HTTP, to where Kafka is not within reach.

What: `POST …/v1/telemetry` with some framed batches in one body, each behind its length (u32, big-endian), and a verdict
for each in the answer. Why: a vehicle or a browser's back end has HTTP and a certificate, not a broker; 2xx means that
Kafka acknowledged, and nothing less does. It refuses to follow redirects, to send a token in the clear, and to believe an
answer that does not have exactly one verdict for each batch.

    200 {"verdicts": [{"status": "stored" | "duplicate" | "spooled" | "rejected" | "retry", "reason": "…"}, …]}
    429, 503: nothing was judged; Retry-After says when to come again. 400, 413, 422: sent one by one, to find the bad one.
    Anything else, or no answer: the fate is unknown, and the same ids are sent again.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from contextlib import suppress
from threading import Condition, Lock, Thread
from time import monotonic

from tocsin import limits
from tocsin.errors import Full, InvalidOption, Rejected
from tocsin.wire import body, retry_after, verdicts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from http.client import HTTPConnection
    from ssl import SSLContext

    from tocsin.transport import OnResult

    Item = tuple[bytes, OnResult]

PATH = "/v1/telemetry"
CONTENT_TYPE = "application/vnd.tocsin.batches"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ONE_BY_ONE = frozenset({400, 413, 422})  # something in this body is wrong
LATER = frozenset({429, 503})


class Refused(ConnectionError):
    """The gateway did not take a request as a whole"""


class GatewayTransport:
    """Sends to `url` (http://host[:port][/path] or https://…) from a thread of its own.

    `token`: bearer token. `ca_file`: whom to trust instead of the system's list; `cert_file` and `key_file`: who we are.
    Times in seconds. Raises InvalidOption.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        ca_file: str = "",
        cert_file: str = "",
        key_file: str = "",
        timeout: float = 10.0,
    ) -> None:
        self.secure, self.host, self.port, self.path = parsed(url)
        if token and not (self.secure or self.host in LOOPBACK):
            raise InvalidOption(f"transport {url!r}; a token is sent over https:// only")
        if not token.isascii() or not token.isprintable():
            raise InvalidOption("token; printable ASCII is expected")
        if key_file and not cert_file:
            raise InvalidOption("key_file without cert_file")
        self.timeout = timeout
        self.trouble = ""  # what went wrong last, while nothing gets through
        self._token = token
        self._files = (ca_file, cert_file, key_file)
        self._context = self._tls() if self.secure else None
        self.after_fork()

    def after_fork(self) -> None:
        """Nothing is on its way, and the parent's connection is the parent's."""
        self._queue: SimpleQueue[Item | None] = SimpleQueue()
        self._changed = Condition()
        self._here = Lock()  # held by a turn in a thread of the caller's
        self._open = 0  # records that were taken, and have no result yet
        self._open_bytes = 0
        self._not_before = 0.0
        self._thread: Thread | None = None
        self._connection: HTTPConnection | None = None
        self._closed = False

    def _tls(self) -> SSLContext:
        import ssl

        authority, certificate, key = self._files
        try:
            context = ssl.create_default_context(cafile=authority or None)
            if certificate:
                context.load_cert_chain(certificate, key or None)
        except (OSError, ssl.SSLError) as error:
            raise InvalidOption(f"ca_file, cert_file or key_file: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context

    # -- the pump's side

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Take one record. Raises Full while much is on its way, or before the gateway wants to hear from us again."""
        if monotonic() < self._not_before:
            raise Full("the gateway said when to come again")
        with self._changed:
            if self._open_bytes and self._open_bytes + len(value) > limits.REQUEST_BYTES * 4:
                raise Full("much is on its way")
            self._open += 1
            self._open_bytes += len(value)
            self._queue.put((value, on_result))
            alone = self._thread is None and not self._begin()
        if alone:
            with self._here, suppress(Empty):  # another's turn may have taken it along
                self._turn(self._queue.get_nowait())

    def _begin(self) -> bool:
        """Start the thread, under the lock: telemetry and logs come from a thread each. False while the interpreter ends."""
        self._thread = Thread(target=self._run, name="tocsin-gateway", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
        return self._thread is not None

    def for_logs(self) -> GatewayTransport:
        """Itself: one door takes both, and knows them by their schema."""
        return self

    def flush(self, timeout: float) -> int:
        """Wait up to so many seconds for results; answers how many are missing."""
        deadline = monotonic() + timeout
        with self._changed:
            while self._open and (left := deadline - monotonic()) > 0:
                self._changed.wait(left)
            return self._open

    def close(self) -> None:
        """End the thread; what has no result yet stays without."""
        self._closed = True
        self._queue.put(None)
        if self._thread is None:
            self._disconnect()

    # -- the thread's side

    def _run(self) -> None:
        while (first := self._queue.get()) is not None and not self._closed:
            self._turn(first)
        self._disconnect()

    def _turn(self, first: Item | None) -> None:
        """One request, of the first record and those that wait behind it."""
        if first is None:
            return
        items, size = [first], len(first[0])
        while size < limits.REQUEST_BYTES and len(items) < limits.REQUEST_RECORDS:
            try:
                more = self._queue.get_nowait()
            except Empty:
                break
            if more is None:
                self._queue.put(None)
                break
            items.append(more)
            size += len(more[0])
        self._post(items)

    def _post(self, items: list[Item]) -> None:
        """Send the records as one request and give each its result."""
        try:
            results = self._exchange([value for value, _ in items])
        except Rejected as error:
            if len(items) > 1:
                for item in items:
                    self._post([item])
                return
            results = [error]
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody knows what became of the records
            self.trouble = f"{type(error).__name__}: {error}"
            self._disconnect()
            results = [error] * len(items)
        for (_, on_result), result in zip(items, results, strict=True):
            on_result(result)
        with self._changed:
            self._open -= len(items)
            self._open_bytes -= sum(len(value) for value, _ in items)
            self._changed.notify_all()

    def _exchange(self, values: list[bytes]) -> list[Exception | None]:
        """The results of a request. Raises Rejected when it is at fault, and anything else when nothing is known."""
        if monotonic() < self._not_before:
            raise Refused("the gateway said when to come again")
        connection = self._connection or self._connect()
        headers = {"Content-Type": CONTENT_TYPE, "Content-Encoding": "gzip", "User-Agent": "tocsin-client"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        connection.request("POST", self.path, body(values), headers)
        answer = connection.getresponse()
        text = answer.read(limits.ANSWER_BYTES)
        if not answer.isclosed():
            self._disconnect()  # longer than any answer may be
        if answer.status in LATER:
            wait = min(retry_after(answer.getheader("Retry-After")), limits.RETRY_AFTER_MOST)
            self._not_before = monotonic() + wait
        if answer.status in ONE_BY_ONE:
            raise Rejected(f"http_{answer.status}")
        if not 200 <= answer.status < 300:
            raise Refused(f"status {answer.status}")
        self.trouble = ""
        return verdicts(text, len(values))

    def _connect(self) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection

        if self.secure:
            self._connection = HTTPSConnection(
                self.host,
                self.port,
                timeout=self.timeout,
                context=self._context,
            )
        else:
            self._connection = HTTPConnection(self.host, self.port, timeout=self.timeout)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def parsed(url: str) -> tuple[bool, str, int | None, str]:
    """(whether it is https, host, port, path of the endpoint). Raises InvalidOption."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidOption(f"transport {url!r}; {error}") from error
    if parts.scheme not in ("http", "https") or not host or parts.username is not None or parts.query or parts.fragment:
        raise InvalidOption(f"transport {url!r}; http://host[:port][/path] or https://… is expected, and a token apart")
    return parts.scheme == "https", host, port, parts.path.rstrip("/") + PATH
