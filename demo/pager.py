"""Pager: the far ends of the demo's channels, and what arrived there.

What: a PagerDuty and a webhook receiver in this process, the configuration that leads the workers to them, and their
logs as plain arrivals. Why: nobody should be paged by a demo, and what was delivered is judged where it was received.
It refuses to look into the platform: an arrival counts when the receiver took it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from demo.pages import Arrival
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.webhook import WebhookFake

ROUTES = Path(__file__).parent / "routes.yaml"
ROUTING_KEY = "0" * 31 + "1"  # of the stand-in; 32 characters, as the real ones
KEY_VARIABLE = "TOCSIN_DEMO_ROUTING_KEY"


@dataclasses.dataclass(frozen=True, slots=True)
class Pager:
    """The stand-ins that run, and what workers must be told to reach them."""

    pagerduty: PagerDutyFake
    webhook: WebhookFake
    environment: Mapping[str, str]
    backup: WebhookFake | None = None  # told in the pager's place, where there is one

    def arrivals(self) -> list[Arrival]:
        """What the pager took, in order."""
        found = []
        for arrival in self.pagerduty.log():
            if arrival.taken:
                fields = arrival.fields
                payload = fields.get("payload")
                severity = str(payload.get("severity", "")) if isinstance(payload, dict) else ""
                found.append(
                    Arrival(arrival.at_ms, str(fields["event_action"]), str(fields.get("dedup_key", "")), severity)
                )
        return found


@contextlib.contextmanager
def stand_ins(directory: Path, fallback_s: int = 0, timeout_s: int = 0) -> Iterator[Pager]:
    """Both receivers for the length of the block, and after `fallback_s` (0: never) a third in the place of a pager that
    takes nothing. `timeout_s`: how long the pager's answer is waited for (0: as it comes). The channels' file is written to
    `directory`."""
    with PagerDutyFake() as pagerduty, WebhookFake() as webhook, WebhookFake() as backup:
        path = directory / "channels.yaml"
        text = channels(pagerduty.url, webhook.url, backup.url if fallback_s else "", fallback_s, timeout_s)
        path.write_text(text, encoding="utf-8")
        environment = {
            "TOCSIN_CHANNELS_PATH": str(path),
            "TOCSIN_ROUTES_PATH": str(ROUTES),
            KEY_VARIABLE: ROUTING_KEY,
        }
        yield Pager(pagerduty, webhook, environment, backup if fallback_s else None)


def channels(
    pagerduty_url: str, webhook_url: str, backup_url: str = "", fallback_s: int = 0, timeout_s: int = 0
) -> str:
    """The channels' file: where the demo's channels end."""
    pager = [f"    fallback: backup\n    fallback_after: {fallback_s}s"] if backup_url else []
    wait = [f"    timeout: {timeout_s}s"] if timeout_s else []
    spare = [f"  - name: backup\n    kind: webhook\n    url: {backup_url}"] if backup_url else []
    return "\n".join(
        [
            "channels:",
            "  - name: pagerduty",
            "    kind: pagerduty",
            f"    routing_key_env: {KEY_VARIABLE}",
            f"    url: {pagerduty_url}",
            *pager,
            *wait,
            "  - name: webhook",
            "    kind: webhook",
            f"    url: {webhook_url}",
            *spare,
            "",
        ]
    )
