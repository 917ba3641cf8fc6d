"""Notifications for the tests of this room: readable one-liners. Refuses nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from schemas.records import NotificationRecord

PAGE = NotificationRecord(
    notification_id="n1",
    incident_id="incident-1",
    channel="pager",
    action="trigger",
    dedup_key="incident-1",
    severity="page",
    summary="checkout burns 14.4x",
    source="checkout",
    event_ms=1_700_000_000_123,
    created_ms=1_700_000_001_000,
    details={
        "slo": "checkout",
        "service": "shop",
        "since": "2023-11-14T22:12:00Z",
        "explain": "tocsin explain incident-1",
    },
    status="pending",
    attempts=0,
    last_error="",
    delivered_ms=0,
    response="",
)


def notification(
    name: str = "n1", incident: str = "incident-1", action: str = "trigger", **other: object
) -> NotificationRecord:
    """A notification of an incident, else as PAGE."""
    return dataclasses.replace(
        PAGE,
        notification_id=name,
        incident_id=incident,
        dedup_key=incident,
        action=action,
        **other,  # type: ignore[arg-type]
    )


def with_details(details: Mapping[str, str]) -> NotificationRecord:
    """PAGE with other details."""
    return dataclasses.replace(PAGE, details=details)
