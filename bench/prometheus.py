"""Prometheus and Alertmanager as processes: the peer of the detection part, as Debian packages it.

What: one pair, told how often to scrape and to evaluate and how long to wait for a group; its pages go to a webhook. Why
so plain: one target, rules without a recorded step between, no `for`, no second peer to wait for; each of these would only
make it slower. It refuses to guess where the programs are: `ops/scripts/debian-prometheus` installs them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence

from bench.rig import ANSWER_S, await_that, free_port

PROGRAMS = ("prometheus", "prometheus-alertmanager")
INSTALLS = "Prometheus and Alertmanager are not installed: ops/scripts/debian-prometheus installs them (as root)"
#: Until the counters have been seen once, at 0, a server knows less of the history than we do, and fires earlier for it.
SCRAPED = "/api/v1/query?query=up==1"
SCRAPE_TIMEOUT_S = 10  # Prometheus' default


@dataclasses.dataclass(frozen=True, slots=True)
class Pace:
    """How often it looks, in whole seconds."""

    name: str
    scrape_s: int
    evaluate_s: int
    group_wait_s: int


#: Debian's own prometheus.yml (15 s each; without the file, it would be a minute), and Alertmanager's default.
DEFAULT = Pace("default", 15, 15, 30)
FASTEST = Pace("fastest", 1, 1, 0)


def installed() -> bool:
    """Whether both programs are here."""
    return all(shutil.which(program) for program in PROGRAMS)


def server_file(pace: Pace, target_port: int, alertmanager_port: int, rules: str) -> str:
    """Prometheus' configuration."""
    every = {
        "scrape_interval": f"{pace.scrape_s}s",
        "scrape_timeout": f"{min(pace.scrape_s, SCRAPE_TIMEOUT_S)}s",
        "evaluation_interval": f"{pace.evaluate_s}s",
    }
    told = [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager_port}"]}]}]
    scraped = [{"job_name": "bench", "static_configs": [{"targets": [f"127.0.0.1:{target_port}"]}]}]
    return json.dumps(
        {"global": every, "rule_files": [rules], "alerting": {"alertmanagers": told}, "scrape_configs": scraped}
    )


def alertmanager_file(pace: Pace, url: str, group_by: Sequence[str]) -> str:
    """Alertmanager's configuration: pages to the webhook, everything else nowhere; a group of its own for each alert."""
    page = {"receiver": "pager", "matchers": ['severity="page"']}
    route = {
        "receiver": "nobody",
        "group_by": ["alertname", *group_by],
        "group_wait": f"{pace.group_wait_s}s",
        "routes": [page],
    }
    receivers = [{"name": "nobody"}, {"name": "pager", "webhook_configs": [{"url": url}]}]
    return json.dumps({"route": route, "receivers": receivers})


@contextlib.contextmanager
def running(
    directory: pathlib.Path, pace: Pace, target_port: int, rules: str, url: str, group_by: Sequence[str]
) -> Iterator[None]:
    """One pair that is ready and has scraped once, ended at the end. Raises TimeoutError when it does not get ready."""
    home = pathlib.Path(tempfile.mkdtemp(prefix=f"prometheus-{pace.name}-", dir=directory))
    server_port, alertmanager_port = free_port(), free_port()
    (home / "rules.json").write_text(rules, encoding="utf-8")
    server = server_file(pace, target_port, alertmanager_port, str(home / "rules.json"))
    (home / "server.json").write_text(server, encoding="utf-8")
    (home / "alertmanager.json").write_text(alertmanager_file(pace, url, group_by), encoding="utf-8")
    commands = (
        ("prometheus-alertmanager", f"--config.file={home}/alertmanager.json", f"--storage.path={home}/alerts",
         f"--web.listen-address=127.0.0.1:{alertmanager_port}", "--cluster.listen-address="),
        ("prometheus", f"--config.file={home}/server.json", f"--storage.tsdb.path={home}/data",
         f"--web.listen-address=127.0.0.1:{server_port}"),
    )  # fmt: skip
    with contextlib.ExitStack() as stack:
        for command, port in zip(commands, (alertmanager_port, server_port), strict=True):
            log = stack.enter_context((home / f"{command[0]}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=home)
            stack.callback(_end, process)
            await_that(lambda port=port: bool(_get(port, "/-/ready")), f"{command[0]} is ready")  # type: ignore[misc]
        await_that(lambda: '"result":[{' in _get(server_port, SCRAPED), "Prometheus has scraped its target")
        yield


def _get(port: int, path: str) -> str:
    """An answer; empty while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=ANSWER_S) as answer:
            return str(answer.read().decode())
    except (urllib.error.URLError, OSError):
        return ""


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
