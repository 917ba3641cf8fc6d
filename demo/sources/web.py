"""Web: a recorded access log, replayed as two web services of two instances each.

What: one outcome a request (good unless 5xx; value = bytes sent) with route class, method and status class as labels,
and a counter of bytes. Why: real mixes of routes, methods and errors. It refuses to parse what is not a request: such
a line is left out when the log is read.
"""

from __future__ import annotations

import dataclasses
import gzip
import re
from collections.abc import Callable
from pathlib import Path

from tocsin import Client, Outcome

from demo.story import Story, mix

LOG = Path(__file__).parent.parent / "data" / "web_access.log.gz"
INSTANCES = 2  # of each service
STREAMS = 16  # places in the log that are replayed side by side, so that one crawler is not all traffic for minutes

_LINE = re.compile(r'\S+ \S+ \S+ \[[^\]]*\] "([A-Z]+) (\S+)[^"]*" (\d{3}) (\d+|-)').match
_ROUTES = (
    ("asset", re.compile(r"\.(png|jpe?g|gif|ico|css|js|svg|woff|ttf|pdf|gz|zip|txt)(\?|$)", re.IGNORECASE)),
    ("presentation", re.compile(r"^/presentations")),
    ("blog", re.compile(r"^/(blog|articles)")),
    ("project", re.compile(r"^/(projects|files)")),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One recorded request: route class, method, status, bytes sent."""

    route: str
    method: str
    status: int
    size: int

    @property
    def service(self) -> str:
        """The service that answers it: assets are served apart."""
        return "assets" if self.route == "asset" else "shop"


def route_class(path: str) -> str:
    """A small set of routes out of a large set of paths."""
    for name, pattern in _ROUTES:
        if pattern.search(path):
            return name
    return "page"


def requests(path: Path = LOG) -> list[Request]:
    """The recorded requests in the order of the log."""
    found = []
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE(line)
            if match:
                method, target, status, size = match.groups()
                found.append(Request(route_class(target), method, int(status), 0 if size == "-" else int(size)))
    return found


class Instance:
    """One instance of a service: a source of its own."""

    def __init__(self, service: str, number: int, connect: Callable[..., Client]) -> None:
        self.client = connect(
            source=f"{service}-{number}", kind="web", service=service, version="2026.11", region=f"zone-{number}"
        )
        self.bytes_sent = self.client.counter("http.sent", unit="By")
        self._outcomes: dict[tuple[str, str, int], Outcome] = {}

    def answer(self, request: Request, status: int, time_ms: int, trace_id: bytes) -> None:
        """Record one answered request."""
        key = (request.route, request.method, status // 100)
        outcome = self._outcomes.get(key)
        if outcome is None:
            outcome = self.client.outcome("http.request", unit="By", route=key[0], method=key[1], status=f"{key[2]}xx")
            self._outcomes[key] = outcome
        good = status < 500
        outcome.observe(good, request.size, trace_id=None if good else trace_id, time_ms=time_ms)
        self.bytes_sent.add(request.size, time_ms)


class Web:
    """The web services as one source of the demo: `rate` requests a second of event time, over all of them."""

    def __init__(
        self, story: Story, connect: Callable[..., Client], rate: int = 40, recorded: list[Request] | None = None
    ) -> None:
        self.story = story
        self.rate = rate
        self.recorded = recorded or requests()
        self.instances = {
            (service, number): Instance(service, number, connect)
            for service in ("shop", "assets")
            for number in range(INSTANCES)
        }
        self.clients = [instance.client for instance in self.instances.values()]

    def place(self, number: int) -> int:
        """Which recorded request the request `number` is: streams through the log, each in its order, in turn."""
        stream, step = number % STREAMS, number // STREAMS
        return (step + stream * len(self.recorded) // STREAMS) % len(self.recorded)

    def emit(self, start_ms: int, end_ms: int) -> None:
        """Record the slice: request n happens at n / rate seconds since epoch, whoever asks, whenever."""
        first = -(-start_ms * self.rate // 1000)
        last = -(-end_ms * self.rate // 1000)
        for number in range(first, last):
            request = self.recorded[self.place(number)]
            time_ms = number * 1000 // self.rate
            failed = self.story.strikes("errors", request.service, time_ms, number)
            instance = self.instances[request.service, mix(number) % INSTANCES]
            trace_id = b"".join(mix(number * 2 + half + self.story.seed).to_bytes(8, "big") for half in (0, 1))
            instance.answer(request, 503 if failed else request.status, time_ms, trace_id)
