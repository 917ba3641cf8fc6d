"""Pager: what the stand-ins took is what the demo sees."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from alerts.route import read_routes
from demo.pager import ROUTING_KEY, stand_ins
from demo.pages import Arrival
from sinks.channels import read_channels
from sinks.fakes.receiver import Fault


def send(url: str, event: dict[str, object]) -> int:
    request = urllib.request.Request(url, json.dumps(event).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def trigger(key: str) -> dict[str, object]:
    payload = {"summary": "s", "source": "x", "severity": "critical"}
    return {"routing_key": ROUTING_KEY, "event_action": "trigger", "dedup_key": key, "payload": payload}


def test_only_what_was_taken_arrived(tmp_path: Path) -> None:
    with stand_ins(tmp_path) as pager:
        pager.pagerduty.clock_ms = lambda: 7
        pager.pagerduty.fails(Fault(503), Fault(500, taking=True))
        url = pager.pagerduty.url
        codes = [send(url, trigger(key)) for key in ("refused", "taken-and-500", "i1")]
        codes.append(send(url, {"routing_key": ROUTING_KEY, "event_action": "resolve", "dedup_key": "i1"}))
        codes.append(send(url, {"event_action": "trigger"}))
        assert codes == [503, 500, 202, 202, 400]
        assert pager.arrivals() == [
            Arrival(7, "trigger", "taken-and-500", "critical"),
            Arrival(7, "trigger", "i1", "critical"),
            Arrival(7, "resolve", "i1", ""),
        ]


def test_the_workers_are_led_to_them(tmp_path: Path) -> None:
    with stand_ins(tmp_path) as pager:
        found = read_channels(Path(pager.environment["TOCSIN_CHANNELS_PATH"]), pager.environment)
        assert {name: channel.sink.url for name, channel in found.by_name.items()} == {
            "pagerduty": pager.pagerduty.url,
            "webhook": pager.webhook.url,
        }
        routes = read_routes(Path(pager.environment["TOCSIN_ROUTES_PATH"]), found.by_name)
        assert routes.channels({"severity": "page"}) == ("pagerduty", "webhook")
        assert routes.channels({"severity": "ticket"}) == ("webhook",)


def test_a_fallback_is_a_third_receiver_that_the_pagers_channel_names(tmp_path: Path) -> None:
    with stand_ins(tmp_path, fallback_s=2) as pager:
        assert pager.backup is not None
        policy = read_channels(tmp_path / "channels.yaml", pager.environment).policies(1)["pagerduty"]
        assert (policy.fallback, policy.fallback_after_ms) == ("backup", 2_000)
    with stand_ins(tmp_path) as pager:
        assert pager.backup is None
        assert "fallback" not in (tmp_path / "channels.yaml").read_text("utf-8")
