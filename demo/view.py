"""View: the demo's live screen, a picture of what the topics say.

What: `Board` takes records of slo.status, incidents and notifications and can be rebuilt from them at any time;
`screen` draws it. Why: a page should be understood at a glance, with the seconds that it took. It refuses to decide
anything: each figure is in a record, or is a difference of two.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from schemas.records import IncidentTransition, NotificationRecord, SloStatus

TOPICS = ("slo.status", "incidents", "notifications")
COLOURS: Mapping[str, str] = {
    "healthy": "green", "burning": "bold red", "exhausted": "bold red", "unmeasured": "yellow", "open": "bold red",
    "acknowledged": "yellow", "resolved": "green", "page": "bold red", "ticket": "yellow", "none": "dim",
}  # fmt: skip
DELIVERIES_SHOWN = 8
RATE_SPAN_MS = 5_000


@dataclasses.dataclass(slots=True)
class Board:
    """All that the screen shows. Everything but `published` comes from topics."""

    statuses: dict[tuple[str, int, tuple[tuple[str, str], ...]], SloStatus] = dataclasses.field(default_factory=dict)
    incidents: dict[str, IncidentTransition] = dataclasses.field(default_factory=dict)
    opened_ms: dict[str, int] = dataclasses.field(default_factory=dict)
    deliveries: dict[str, NotificationRecord] = dataclasses.field(default_factory=dict)
    published: deque[tuple[int, Mapping[str, int]]] = dataclasses.field(default_factory=deque)
    workers: Sequence[str] = ()
    note: str = ""

    def apply(self, record: object) -> None:
        """Take in one record; others than the three kinds shown are ignored."""
        if isinstance(record, SloStatus):
            self.statuses[record.slo, record.objective, tuple(sorted(record.labels.items()))] = record
        elif isinstance(record, IncidentTransition):
            before = self.incidents.get(record.incident_id)
            if before is None or record.number >= before.number:
                self.incidents[record.incident_id] = record
            if record.state == "open":
                self.opened_ms.setdefault(record.incident_id, record.at_ms)
        elif isinstance(record, NotificationRecord) and record.status == "delivered":
            self.deliveries[record.notification_id] = record

    def count(self, now_ms: int, published: Mapping[str, int]) -> None:
        """Note how many measurements were published so far, by kind of source."""
        self.published.append((now_ms, dict(published)))
        while self.published[-1][0] - self.published[0][0] > RATE_SPAN_MS:
            self.published.popleft()

    def rates(self) -> dict[str, float]:
        """Measurements a second by kind of source, over the last seconds."""
        if len(self.published) < 2:
            return {}
        (begin, first), (end, last) = self.published[0], self.published[-1]
        seconds = max(1, end - begin) / 1000
        return {kind: (total - first.get(kind, 0)) / seconds for kind, total in sorted(last.items())}

    def behind_seconds(self, now_ms: int) -> float | None:
        """Seconds between now and the newest event that any SLO has been judged on."""
        newest = max((status.event_ms for status in self.statuses.values()), default=None)
        return None if newest is None else max(0.0, (now_ms - newest) / 1000)


def clock(time_ms: int) -> str:
    """UTC, hours to seconds."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%H:%M:%S")


def coloured(word: str) -> Text:
    """A state or severity in its colour."""
    return Text(word, COLOURS.get(word, ""))


def budget_bar(left: float, width: int = 12) -> Text:
    """How much of the error budget is left: a bar and a figure."""
    filled = round(max(0.0, min(1.0, left)) * width)
    colour = "green" if left > 0.5 else "yellow" if left > 0.1 else "red"
    return Text.assemble(("━" * filled, colour), ("─" * (width - filled), "dim"), f" {left:6.1%}")


def slo_table(board: Board) -> RenderableType:
    """One line an SLO and group."""
    table = Table(expand=True, box=None, pad_edge=False)
    for heading in ("SLO", "group", "state", "severity", "budget left", "burn long / short", "good of total"):
        table.add_column(heading, no_wrap=True)
    for (slo, _, labels), status in sorted(board.statuses.items()):
        worst = max(status.burn, key=lambda reading: reading.long_burn / reading.factor, default=None)
        burn = "" if worst is None else f"{worst.long_burn:5.1f}x / {worst.short_burn:5.1f}x (of {worst.factor:g}x)"
        table.add_row(
            slo,
            ", ".join(value for _, value in labels),
            coloured(status.state),
            coloured(status.severity),
            budget_bar(status.budget_left),
            burn,
            f"{status.good / 2**20:,.0f} / {status.total / 2**20:,.0f}",
        )
    return table


def incident_table(board: Board) -> RenderableType:
    """Incidents, the newest first."""
    table = Table(expand=True, box=None, pad_edge=False)
    for heading in ("opened", "state", "severity", "incident", "alerts"):
        table.add_column(heading, no_wrap=True)
    newest = sorted(board.incidents.values(), key=lambda incident: board.opened_ms.get(incident.incident_id, 0))
    for incident in reversed(newest[-DELIVERIES_SHOWN:]):
        table.add_row(
            clock(board.opened_ms.get(incident.incident_id, incident.at_ms)),
            coloured(incident.state),
            coloured(incident.severity),
            incident.title,
            str(len(incident.alert_ids)),
        )
    return table


def delivery_table(board: Board) -> RenderableType:
    """What was told to whom, the newest first, with the seconds from the deciding event to delivery."""
    table = Table(expand=True, box=None, pad_edge=False)
    for heading, width in (("delivered", 9), ("channel", 9), ("told", 11), ("after", 7), ("tries", 5)):
        table.add_column(heading, no_wrap=True, min_width=width)
    table.add_column("what", no_wrap=True, overflow="ellipsis", ratio=1)
    newest = sorted(board.deliveries.values(), key=lambda delivery: delivery.delivered_ms)
    for delivery in reversed(newest[-DELIVERIES_SHOWN:]):
        table.add_row(
            clock(delivery.delivered_ms),
            delivery.channel,
            delivery.action,
            f"{(delivery.delivered_ms - delivery.event_ms) / 1000:.1f} s",
            str(delivery.attempts),
            delivery.summary,
        )
    return table


def header(board: Board, now_ms: int) -> RenderableType:
    """One line: time, rates by kind of source, how far behind, workers."""
    rates = "  ".join(f"{kind} {rate:,.0f}/s" for kind, rate in board.rates().items()) or "no input yet"
    behind = board.behind_seconds(now_ms)
    lag = "nothing judged yet" if behind is None else f"judged up to {behind:.1f} s ago"
    workers = f"{len(board.workers)} workers" if board.workers else "no worker"
    return Text.assemble((clock(now_ms), "bold"), f"   {rates}   ·   {lag}   ·   {workers}")


def screen(board: Board, now_ms: int, story: Sequence[str] = ()) -> RenderableType:
    """The whole screen. `story`: what is going on in the demo, one line each."""
    parts: list[RenderableType] = [header(board, now_ms)]
    if story:
        parts.append(Panel("\n".join(story), title="what is being done to it", border_style="dim"))
    parts.append(Panel(slo_table(board), title="objectives"))
    parts.append(Panel(incident_table(board), title="incidents"))
    parts.append(Panel(delivery_table(board), title="told"))
    parts.append(Text(board.note or "Ctrl-C stops everything that this started.", "dim"))
    return Group(*parts)
