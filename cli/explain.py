"""`tocsin explain`: why it paged, from the counts to the last delivery attempt.

What: an incident or an alert in plain words, in the order in which it happened: counts of each window, the thresholds
that they passed, watermark, offsets, configuration, deliveries with their times. Why: each page explains itself. It
refuses to recompute: what is shown is what was decided on, from the records of the decision.
"""

from __future__ import annotations

from rich.text import Text

from cli import output, reading
from cli.case import Case, Told, gathered
from cli.decoding import plain
from cli.output import OK, age_text, clean, coloured, labels_text, say, span_text, time_text
from schemas.records import AlertTransition, BurnReading, IncidentTransition

RULE_HEADS = ("    RULE", "WINDOW", "BAD / ALL", "RATIO", "BURN", "LIMIT", "WILSON LOW", "EXCEEDED")
NAMED_ANNOTATIONS = ("service", "title", "explain")


def run(wanted: str, bootstrap: str, *, json: bool) -> int:
    """Exit code 0; 1 when there is no such thing (raised as Stop)."""
    log = reading.opened(bootstrap)
    try:
        records = gathered(log)
    finally:
        log.close()
    case = records.find(wanted)
    if records.unreadable:
        output.note(f"{records.unreadable} records could not be read and are left out")
    if json:
        output.as_json(_plain(case), indent=2)
    else:
        show(case)
    return OK


def _plain(case: Case) -> dict[str, object]:
    return {
        "incident_id": case.incident_id or None,
        "incident": [plain(change) for change in case.incident],
        "alerts": {alert: [plain(one) for one in transitions] for alert, transitions in case.alerts.items()},
        "deliveries": {
            identity: [{"at_ms": one.at_ms, "record": plain(one.record)} for one in told]
            for identity, told in case.deliveries.items()
        },
    }


def show(case: Case) -> None:
    """The whole story, for people."""
    if case.incident:
        _incident(case.incident)
    for alert, transitions in case.alerts.items():
        say()
        _alert(alert, transitions)
    if case.incident:
        say()
        _deliveries(case)


def _incident(changes: list[IncidentTransition]) -> None:
    last = changes[-1]
    severities = [change.severity for change in changes]
    worst = next((word for word in ("page", "ticket") if word in severities), "none")
    say(
        Text("Incident ", style="bold"),
        f"{last.incident_id} {last.title} ",
        coloured(last.state),
        ", at worst ",
        coloured(worst),
    )
    for change in changes:
        who = f" by {change.actor}" if change.actor else ""
        what = f"  {time_text(change.at_ms)}  #{change.number} "
        say(what, coloured(change.state), f": {change.reason}{who} (event time {time_text(change.event_ms)})")


def _alert(alert: str, transitions: list[AlertTransition]) -> None:
    first = transitions[0]
    name = f"{first.slo}/{first.objective} {labels_text(first.labels)}".rstrip()
    say(Text("Alert ", style="bold"), f"{alert} {name}")
    target = f"  objective: {_percent(first.target)} good over {span_text(first.period_ms)}"
    say(f"{target}; policy {first.policy}; configuration {first.config_hash}")
    for key, text in sorted(first.annotations.items()):
        if key not in NAMED_ANNOTATIONS and text:
            say(f"  {key}: {text}")
    for transition in transitions:
        say()
        _transition(transition)


def _percent(share: float) -> str:
    text = f"{share * 100:.5f}".rstrip("0").rstrip(".")
    return f"{text}%"


def _transition(found: AlertTransition) -> None:
    frozen = " (frozen: no data to judge by)" if found.frozen else ""
    change = Text(f"  #{found.number} ") + coloured(found.previous_severity) + Text(" -> ") + coloured(found.severity)
    say(change, f", {found.state}{frozen}: {found.summary}")
    say(f"    the burn began   {time_text(found.burn_started_ms)} event time")
    since = found.event_ms - found.burn_started_ms
    after = f", {age_text(since)} after it began" if found.burn_started_ms > 0 else ""
    say(f"    judged at        {time_text(found.event_ms)} event time{after}")
    say(
        f"    decided at       {time_text(found.detected_ms)}, {age_text(found.detected_ms - found.event_ms)} behind the events"
    )
    watermark = time_text(found.watermark_ms) if found.watermark_ms > 0 else "not all sources have spoken"
    say(f"    watermark        {watermark}")
    offsets = ", ".join(f"[{partition}]@{offset}" for partition, offset in sorted(found.source_offsets.items()))
    say(f"    read up to       telemetry.partials[{found.partition}]@{found.offset}; telemetry {offsets or '-'}")
    say(f"    budget left      {found.budget_left:.2%} of {span_text(found.period_ms)}")
    if found.exemplars:
        say(f"    exemplars        {', '.join(found.exemplars)}")
    output.table(RULE_HEADS, [row for burn in found.burn for row in _rows(burn, found.target)])


def _rows(burn: BurnReading, target: float) -> list[tuple[output.Cell, ...]]:
    """Two lines a rule: the long window with its lower bound, the short one."""
    allowed = 1 - target
    sure = f"{_percent(burn.wilson_low)} > {_percent(burn.factor * allowed)}"
    if burn.wilson_low <= burn.factor * allowed:
        sure = f"{_percent(burn.wilson_low)}, not above {_percent(burn.factor * allowed)}"
    yes = Text("yes", style="bold red") if burn.exceeded else Text("no")
    long = _counts(burn.long_good, burn.long_total)
    short = _counts(burn.short_good, burn.short_total)
    limit = f"{burn.factor:g}x"
    return [
        (
            Text("    ") + coloured(burn.severity),
            span_text(burn.long_ms),
            *long,
            f"{burn.long_burn:.1f}x",
            limit,
            sure,
            yes,
        ),
        ("", span_text(burn.short_ms), *short, f"{burn.short_burn:.1f}x", limit, "", ""),
    ]


def _counts(good: float, total: float) -> tuple[str, str]:
    if not total:
        return "no data", "-"
    return f"{total - good:,.6g} / {total:,.6g}", _percent((total - good) / total)


def _deliveries(case: Case) -> None:
    say(
        Text("Deliveries", style="bold"),
        "" if case.deliveries else ": none; no route leads to a channel, or none is owed yet",
    )
    began = case.first.detected_ms if case.first else 0
    for told in case.deliveries.values():
        _delivery(told, began)


def _delivery(told: list[Told], began_ms: int) -> None:
    last = told[-1].record
    say(
        f"  {last.channel}: {last.action} ", coloured(last.status), f", key {last.dedup_key}, id {last.notification_id}"
    )
    if last.details.get("why_now"):
        say(f"    why now: {last.details['why_now']}")
    if last.details.get("fallback_for"):
        say(f"    in place of {last.details['fallback_for']}: {last.details.get('fallback_because', '')}")
    for one in told:
        record = one.record
        if record.status == "pending" and not record.attempts:
            text = "owed"
        elif record.status == "delivered":
            text = f"delivered at attempt {record.attempts}: {record.response}"
        else:
            text = f"attempt {record.attempts}: {record.last_error}"
        at_ms = record.delivered_ms if record.status == "delivered" else one.at_ms
        after = f" (+{age_text(at_ms - began_ms)} after the first decision)" if began_ms else ""
        say(f"    {time_text(at_ms)}{after}  {clean(text)}")
