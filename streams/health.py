"""Health over HTTP on a thread of its own: /livez, /readyz, /startupz, /metrics.

What: live, the event loop turns; started, an assignment came and was restored once; ready, all that is assigned is
restored and caught up. Why: a worker that catches up is live and not ready, and nobody should restart it for that; one
that was assigned nothing, since there are more workers than partitions, is ready to take over. It refuses to use
Faust's own web server, which shares the loop that it would judge.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streams import selfmetrics
from streams.limits import LOOP_STALL_S, READY_LAG_RECORDS
from streams.stage import Stage
from streams.step import Step
from streams.watchdog import Watchdog

Probe = Callable[[], tuple[bool, dict[str, object]]]


class Health:
    """The three answers."""

    def __init__(self, stages: Sequence[Stage[Step]], watchdog: Watchdog) -> None:
        self._stages, self._watchdog = stages, watchdog
        self._started = False

    def livez(self) -> tuple[bool, dict[str, object]]:
        """Whether the event loop turned lately."""
        age = time.monotonic() - self._watchdog.turned_at
        return age < LOOP_STALL_S, {"loop_turned_seconds_ago": round(age, 1)}

    def startupz(self) -> tuple[bool, dict[str, object]]:
        """Whether an assignment came and everything in it was restored at least once."""
        facts: dict[str, object] = {stage.name: stage.assignments for stage in self._stages}
        self._started = self._started or self._restored()
        return self._started, {"assignments": facts}

    def readyz(self) -> tuple[bool, dict[str, object]]:
        """Whether everything assigned is restored and near its end."""
        if self._watchdog.waits_for:
            return False, {"why": self._watchdog.waits_for}
        lags = {
            f"{stage.topic}[{partition}]": stage.behind(partition)
            for stage in self._stages
            for partition in sorted(stage.assigned)
        }
        near = all(lag is not None and lag <= READY_LAG_RECORDS for lag in lags.values())
        return near and self._restored(), {"lag": lags}

    def _restored(self) -> bool:
        return all(stage.assignments and stage.assigned <= set(stage.held) for stage in self._stages)


def serve(port: int, stages: Sequence[Stage[Step]], watchdog: Watchdog, host: str = "127.0.0.1") -> ThreadingHTTPServer:
    """Start the server thread; it ends with the process. Raises OSError when the address cannot be had.

    The answers are open to whoever reaches the address, so it is this machine's own unless somebody says otherwise.
    """
    health = Health(stages, watchdog)
    probes: dict[str, Probe] = {"/livez": health.livez, "/readyz": health.readyz, "/startupz": health.startupz}

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, selfmetrics.exposition(), selfmetrics.CONTENT_TYPE)
            elif self.path in probes:
                good, facts = probes[self.path]()
                self._answer(200 if good else 503, json.dumps(facts).encode(), "application/json")
            else:
                self._answer(404, b"", "text/plain")

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class names it
            """Probes are not news."""

    server = ThreadingHTTPServer((host, port), Answers)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
