"""`tocsin slo`: where each SLO stands, the worst first.

What: the newest status of every SLO group. Why: the one table that says whether anything burns; what has no data is
unmeasured, and never green. It refuses to judge by itself: every word and figure is the evaluator's.
"""

from __future__ import annotations

import time

from cli import output, reading
from cli.decoding import Decoder, plain
from cli.output import OK, PROBLEM, UNREACHABLE, Stop, age_text, coloured, labels_text, span_text
from cli.reading import Log
from schemas.corrupt import CorruptRecord
from schemas.records import SloStatus

TOPIC = "slo.status"
ORDER = ("exhausted", "burning", "unmeasured", "healthy")
HEADS = ("SLO", "GROUP", "STATE", "SEVERITY", "BUDGET LEFT", "BURN", "DATA")


def run(name: str, bootstrap: str, *, json: bool, check: bool) -> int:
    """Exit code: with `check`, 1 when anything is not healthy."""
    log = reading.opened(bootstrap)
    try:
        found = [status for status in statuses(log) if status.slo.startswith(name)]
    finally:
        log.close()
    if json:
        output.as_json([plain(status) for status in found], indent=2)
    elif found:
        now_ms = time.time_ns() // 1_000_000
        output.table(HEADS, [row(status, now_ms) for status in found])
    else:
        raise Stop(
            PROBLEM if name else OK,
            f"no status of an SLO {name!r} yet" if name else "no SLO has a status yet",
            f"{bootstrap}, topic {TOPIC}",
            "a status appears with the first measurement that an SLO selects; is a worker running (`tocsin doctor`)?",
        )
    return PROBLEM if check and any(status.state != "healthy" for status in found) else OK


def statuses(log: Log) -> list[SloStatus]:
    """The newest status of each group: exhausted, burning, unmeasured, healthy; then by name."""
    found: dict[bytes, SloStatus] = {}
    decoder = Decoder()
    unreadable = 0
    for message in reading.everything(log, TOPIC):
        if message.value is None:
            found.pop(message.key, None)
            continue
        try:
            status = decoder.decode(message.value)
        except CorruptRecord:
            unreadable += 1
            continue
        if isinstance(status, SloStatus):
            found[message.key] = status
    if unreadable and not found:
        raise Stop(
            UNREACHABLE, f"{unreadable} statuses, and none can be read", TOPIC, "is this another system's topic?"
        )
    return sorted(found.values(), key=_place)


def _place(status: SloStatus) -> tuple[int, str, int, str]:
    order = ORDER.index(status.state) if status.state in ORDER else -1
    return order, status.slo, status.objective, labels_text(status.labels)


def row(status: SloStatus, now_ms: int) -> tuple[output.Cell, ...]:
    """One line of the table. The burn is that of the tier nearest to firing."""
    worst = max(status.burn, key=lambda reading: reading.long_burn / reading.factor, default=None)
    burn = f"{worst.long_burn:.1f}x in {span_text(worst.long_ms)} of {worst.factor:g}x" if worst else "-"
    return (
        status.slo if not status.objective else f"{status.slo}/{status.objective}",
        labels_text(status.labels) or "all",
        coloured(status.state),
        coloured(status.severity),
        f"{status.budget_left:.1%}",
        burn,
        f"{age_text(now_ms - status.last_data_ms)} ago" if status.last_data_ms > 0 else "never",
    )
