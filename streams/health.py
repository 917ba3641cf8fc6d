"""Health over HTTP on a thread of its own: /livez, /readyz, /startupz, /metrics.

live: the event loop turns. started: an assignment was restored once. ready: partitions are held, restored and caught
up. A worker that catches up is live and not ready; nobody should restart it for that. Never Faust's own web server,
which binds all interfaces and shares the loop that it would judge.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streams import selfmetrics
from streams.stage import Stage
from streams.step import Step
from streams.watchdog import Watchdog

HOST = "0.0.0.0"  # noqa: S104  # a container's probe comes from outside
LOOP_STALL_S = 20.0
READY_LAG_RECORDS = 10_000
Probe = Callable[[], tuple[bool, dict[str, object]]]


class Health:
    """The three answers."""

    def __init__(self, stages: Sequence[Stage[Step]], watchdog: Watchdog) -> None:
        self._stages, self._watchdog = stages, watchdog

    def livez(self) -> tuple[bool, dict[str, object]]:
        """Whether the event loop turned lately."""
        age = time.monotonic() - self._watchdog.turned_at
        return age < LOOP_STALL_S, {"loop_turned_seconds_ago": round(age, 1)}

    def startupz(self) -> tuple[bool, dict[str, object]]:
        """Whether state was restored at least once."""
        restores = {stage.name: stage.metrics.restores for stage in self._stages}
        return any(restores.values()), {"restores": restores}

    def readyz(self) -> tuple[bool, dict[str, object]]:
        """Whether everything held is near its end."""
        lags = {
            f"{stage.topic}[{partition}]": stage.behind(partition)
            for stage in self._stages
            for partition in list(stage.held)
        }
        return bool(lags) and all(lag is not None and lag <= READY_LAG_RECORDS for lag in lags.values()), {"lag": lags}


def serve(port: int, stages: Sequence[Stage[Step]], watchdog: Watchdog) -> ThreadingHTTPServer:
    """Start the server thread; it ends with the process."""
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

    server = ThreadingHTTPServer((HOST, port), Answers)
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server
