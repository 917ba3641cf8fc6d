"""A log in memory, and the records of one incident: for the tests of the command line. Refuses to be a broker."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from cli.output import USAGE, Stop
from cli.reading import Message
from schemas import codec
from schemas.codec import Record
from schemas.records import AlertTransition, BurnReading, IncidentTransition, NotificationRecord, SloStatus

T0 = 1_764_000_000_000  # 2025-11-24 16:00:00 UTC


class FakeLog:
    """Topics as lists of messages."""

    def __init__(self) -> None:
        self.topics: dict[str, list[Message]] = {}
        self.more: list[Message] = []  # what comes to whoever follows
        self.closed = 0

    def put(
        self, topic: str, value: Record | bytes | None, key: str | bytes = "", at_ms: int = T0, partition: int = 0
    ) -> None:
        """One more record. `value` None: a tombstone."""
        held = self.topics.setdefault(topic, [])
        offset = sum(message.partition == partition for message in held)
        data = value if isinstance(value, bytes) or value is None else codec.encode(value)
        held.append(Message(topic, partition, offset, at_ms, key.encode() if isinstance(key, str) else key, data))

    def bounds(self, topic: str) -> Mapping[int, tuple[int, int]]:
        if topic not in self.topics:
            raise Stop(USAGE, f"there is no topic {topic!r}", "memory")
        partitions = {message.partition for message in self.topics[topic]} | {0}
        return {p: (0, sum(message.partition == p for message in self.topics[topic])) for p in sorted(partitions)}

    def since(self, topic: str, time_ms: int) -> Mapping[int, int]:
        held = self.topics.get(topic, [])
        return {
            p: min((m.offset for m in held if m.partition == p and m.timestamp_ms >= time_ms), default=high)
            for p, (_, high) in self.bounds(topic).items()
        }

    def read(self, topic: str, starts: Mapping[int, int], ends: Mapping[int, int] | None) -> Iterator[Message]:
        for message in self.topics[topic]:
            at = message.partition
            if at in starts and message.offset >= starts[at] and (ends is None or message.offset < ends[at]):
                yield message
        if ends is None:
            yield from self.more

    def close(self) -> None:
        self.closed += 1


def burn(severity: str = "page", factor: float = 14.4, exceeded: bool = True) -> BurnReading:
    """1 h and 5 min, four in a hundred bad."""
    return BurnReading(
        severity=severity,
        long_ms=3_600_000,
        short_ms=300_000,
        factor=factor,
        long_good=2_880.0,
        long_total=3_000.0,
        short_good=240.0,
        short_total=250.0,
        long_burn=40.0,
        short_burn=40.0,
        wilson_low=0.0325,
        exceeded=exceeded,
    )


ALERT = AlertTransition(
    transition_id="cc01000000000001",
    alert_id="aa01000000000001",
    number=1,
    slo="checkout",
    objective=0,
    labels={"region": "eu"},
    state="firing",
    severity="page",
    previous_severity="none",
    frozen=False,
    event_ms=T0,
    burn_started_ms=T0 - 60_000,
    detected_ms=T0 + 1_200,
    target=0.999,
    period_ms=30 * 86_400_000,
    burn=(burn(), burn("ticket", 1.0, exceeded=False)),
    budget_left=0.931,
    exemplars=("ab" * 16,),
    watermark_ms=T0 - 5_000,
    partition=2,
    offset=1_234,
    source_offsets={"0": 99, "1": 101},
    config_hash="0123456789abcdef",
    policy="default-30d",
    annotations={"service": "shop", "title": "Checkout", "runbook": "https://wiki/checkout", "explain": "x"},
    summary="Checkout {region=eu}: 120 of 3,000 bad in 1h, burning at 40.0x",
)
RESOLVED = dataclasses.replace(
    ALERT,
    transition_id="cc01000000000002",
    number=2,
    state="resolved",
    severity="none",
    previous_severity="page",
    event_ms=T0 + 300_000,
    detected_ms=T0 + 301_000,
    burn=(dataclasses.replace(burn(exceeded=False), short_good=0.0, short_total=0.0, wilson_low=0.001),),
    summary="Checkout {region=eu}: the burn ended",
)
INCIDENT = IncidentTransition(
    incident_id="bb01000000000001",
    number=1,
    state="open",
    severity="page",
    title="Checkout",
    alert_ids=(ALERT.alert_id,),
    transition_ids=(ALERT.transition_id,),
    labels={"slo": "checkout"},
    event_ms=T0,
    at_ms=T0 + 1_300,
    actor="",
    reason="first alert",
)
ENDED = dataclasses.replace(
    INCIDENT, number=2, state="resolved", severity="none", at_ms=T0 + 301_100, event_ms=T0 + 300_000,
    reason="all alerts resolved", transition_ids=(RESOLVED.transition_id,), actor="",
)  # fmt: skip
OWED = NotificationRecord(
    notification_id="dd01000000000001",
    incident_id=INCIDENT.incident_id,
    channel="pagerduty",
    action="trigger",
    dedup_key=INCIDENT.incident_id,
    severity="page",
    summary=ALERT.summary,
    source="shop",
    event_ms=T0,
    created_ms=T0 + 1_300,
    details={"why_now": "the incident is new"},
    status="pending",
    attempts=0,
    last_error="",
    delivered_ms=0,
    response="",
)
TRIED = dataclasses.replace(OWED, attempts=1, last_error="server_error: HTTP 503")
DELIVERED = dataclasses.replace(
    TRIED, status="delivered", attempts=2, delivered_ms=T0 + 3_000, response="HTTP 202 Event processed"
)
STATUS = SloStatus(
    slo="checkout",
    objective=0,
    labels={"region": "eu"},
    state="burning",
    severity="page",
    good=2_880 << 20,
    total=3_000 << 20,
    budget_left=0.931,
    burn=(burn(),),
    coverage=1.0,
    last_data_ms=T0,
    event_ms=T0,
    config_hash="0123456789abcdef",
)


def story() -> FakeLog:
    """One incident from its first alert to its end."""
    log = FakeLog()
    for number, alert in enumerate((ALERT, ALERT, RESOLVED)):  # a repeat, as after a crash
        log.put("alerts", alert, alert.alert_id, T0 + 1_250 + number)
    for incident in (INCIDENT, ENDED):
        log.put("incidents", incident, incident.incident_id, incident.at_ms)
    for at, record in ((1_400, OWED), (1_800, TRIED), (3_050, DELIVERED)):
        log.put("notifications", record, record.notification_id, T0 + at)
    log.put("slo.status", STATUS, "checkout-eu")
    return log
