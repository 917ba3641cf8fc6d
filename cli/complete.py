"""Completion: words that a shell may offer, out of the live topics where that is cheap.

What: names of topics, of SLOs, ids of incidents. Why: nobody types sixteen hex digits. It refuses to be slow or loud:
after a second, or at any failure, there is simply nothing to offer.
"""

from __future__ import annotations

import contextlib

QUICK_S = 1.0


def topic_names(incomplete: str) -> list[tuple[str, str]]:
    """(name, what it holds)."""
    with contextlib.suppress(Exception):
        from streams.topics import TOPICS

        return [(topic.name, topic.what) for topic in TOPICS if topic.name.startswith(incomplete)]
    return []


def incident_ids(incomplete: str) -> list[tuple[str, str]]:
    """(id, title), the newest first."""
    from schemas.records import IncidentTransition

    found: dict[str, str] = {}
    for value in _newest("incidents", 500):
        if isinstance(value, IncidentTransition) and value.incident_id.startswith(incomplete):
            found[value.incident_id] = f"{value.title} ({value.state})"
    return list(reversed(found.items()))


def slo_names(incomplete: str) -> list[str]:
    """Names of SLOs that have a status."""
    from schemas.records import SloStatus

    found = {value.slo for value in _newest("slo.status", 2_000) if isinstance(value, SloStatus)}
    return sorted(name for name in found if name.startswith(incomplete))


def _newest(topic: str, count: int) -> list[object]:
    with contextlib.suppress(Exception):
        from cli import reading, where
        from cli.decoding import Decoder

        log = reading.KafkaLog(where.bootstrap(None), QUICK_S)
        try:
            decoder = Decoder()
            return [decoder.decode(message.value) for message in reading.newest(log, topic, count)[0] if message.value]
        finally:
            log.close()
    return []
