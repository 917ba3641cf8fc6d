"""`tocsin doctor`: is everything there that is needed, and what to do where it is not.

What: runs the checks in order of dependence; what rests on a failed one is not asked. Why: ten errors with one cause are
worse than the cause. It refuses to mend anything.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator

from cli import checks, output, reading
from cli.checks import Check
from cli.output import OK, PROBLEM, Stop, coloured

HEARTBEATS = "telemetry.partials"


def run(bootstrap: str, *, json: bool, probe: bool) -> int:
    """Exit code: 1 when a check fails."""
    found: list[Check] = []
    for check in every(bootstrap, probe=probe):
        found.append(check)
        if not json:
            show(check)
    if json:
        output.as_json([dataclasses.asdict(check) for check in found], indent=2)
    failed = sum(check.status == "fail" for check in found)
    warned = sum(check.status == "warn" for check in found)
    output.note(f"{len(found)} checks: {failed} failed, {warned} to look at")
    return PROBLEM if failed else OK


def show(check: Check) -> None:
    """One line, and what to do below it."""
    output.say(coloured(check.status), f"{' ' * (4 - len(check.status))}  {check.name}: {check.found}")
    if check.do:
        output.say(f"      to do: {check.do}")


def every(bootstrap: str, *, probe: bool) -> Iterator[Check]:
    """All checks, as they are made."""
    first = checks.settings(os.environ)
    yield first
    yield checks.objectives()
    yield checks.java()
    yield checks.disk()
    if path := os.environ.get("TOCSIN_CHANNELS_PATH"):
        yield from checks.channels(path, os.environ)
    else:
        do = "name a channels file in TOCSIN_CHANNELS_PATH"
        yield Check("channels", "warn", "none is configured: alerts are recorded and nobody is told", do)
    if url := os.environ.get("TOCSIN_REGISTRY_URL"):
        yield checks.registry(url)
    port = checks.port(bootstrap)
    yield port
    if port.status == "fail":
        return
    broker = checks.broker(bootstrap)
    yield broker
    if broker.status == "fail":
        return
    yield checks.topics(bootstrap, _number("TOCSIN_PARTITIONS", 4), _number("TOCSIN_REPLICATION", 1))
    if probe:
        yield from checks.probe(bootstrap, _now_ms)
    yield checks.workers(_heartbeat_ms(bootstrap), _now_ms())


def _number(name: str, otherwise: int) -> int:
    """A setting; one that is no number has its own failed check."""
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else otherwise


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _heartbeat_ms(bootstrap: str) -> int | None:
    """Time of the newest record of the partials; None when there is none."""
    log = reading.opened(bootstrap)
    try:
        last, _ = reading.newest(log, HEARTBEATS, 1)
    except Stop:
        return None
    finally:
        log.close()
    return last[0].timestamp_ms if last else None
