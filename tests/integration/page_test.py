"""From a client's call to a page and its end, and what people see of it: health, metrics and the command line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas import codec
from schemas.records import AlertTransition, Command, IncidentTransition, SloStatus
from streams import topics
from streams.limits import READY_LAG_RECORDS
from tests.foreign import promtool
from tests.foreign.promtool import needs_promtool
from tests.integration.plant import PARTITIONS, Plant, now_ms, rows_of

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

GOOD, BAD, MANY = 100, 60, 8_000  # 60 of 160 pages; 60 of 8,160 is inside the budget of every rule
TRACE = "ab" * 16


@dataclasses.dataclass(frozen=True)
class Burn:
    """A service that began to fail at `bad_ms`, and the event at the pager that says so."""

    service: str
    client: Any
    good_ms: int
    bad_ms: int
    event: dict[str, Any]

    @property
    def incident(self) -> str:
        return str(self.event["dedup_key"])

    @property
    def details(self) -> dict[str, str]:
        return dict(self.event["payload"]["custom_details"])


def burn(plant: Plant, service: str) -> Burn:
    """Good requests, then bad ones, until the page is there."""
    client = plant.client(service)
    requests = client.outcome("http.request")
    good_ms = now_ms()
    for _ in range(GOOD):
        requests.observe(good=True, time_ms=good_ms)
    assert client.flush(10)
    healthy = plant.record(f"{service} is healthy", SloStatus, lambda s: s.labels.get("service") == service).record
    assert (healthy.state, healthy.severity) == ("healthy", "none")
    bad_ms = now_ms()
    for number in range(BAD):
        requests.observe(good=False, value=float(number), time_ms=bad_ms, trace_id=TRACE)
    assert client.flush(10)
    page = plant.called(f"page of {service}", lambda e: is_page_of(e, service))
    return Burn(service, client, good_ms, bad_ms, page.fields)


def is_page_of(event: dict[str, Any], service: str) -> bool:
    payload = event.get("payload", {})
    return event["event_action"] == "trigger" and f"service={service}" in payload["custom_details"]["groups"]


@pytest.fixture(scope="module")
def paged(plant: Plant) -> Burn:
    return burn(plant, "shop")


@pytest.fixture(scope="module")
def recovered(plant: Plant, paged: Burn) -> Burn:
    """The same one, after it ended."""
    requests = paged.client.outcome("http.request")
    at_ms = now_ms()
    for _ in range(MANY):
        requests.observe(good=True, time_ms=at_ms)
    assert paged.client.flush(10)
    plant.called("its end", lambda e: e["event_action"] == "resolve" and e["dedup_key"] == paged.incident)
    return paged


def test_a_worker_says_that_it_is_live_before_it_says_that_it_is_ready(plant: Plant) -> None:
    first, last = plant.beginning[0], plant.beginning[-1]
    assert first == (200, 503, 503)
    assert last == (200, 200, 200)
    assert all(live == 200 for live, _, _ in plant.beginning)
    assert all(started == 200 for _, started, ready in plant.beginning if ready == 200)


def test_the_page_says_what_burns_since_when_and_how_fast(plant: Plant, paged: Burn) -> None:
    payload, details = paged.event["payload"], paged.details
    at = dt.datetime.fromisoformat(payload["timestamp"])
    assert round(at.timestamp() * 1000) == paged.bad_ms  # event time, to the millisecond
    assert payload["severity"] == "critical"
    assert payload["component"] == "web"
    assert "60 of 160 bad in 2m" in payload["summary"]
    assert details["incident"] == paged.incident
    assert details["slo"] == "web-availability"
    assert details["groups"] == f"{{service={paged.service}}}"
    assert details["burn"].startswith("37.5x over 2m, ")
    since_ms = dt.datetime.fromisoformat(details["since"]).timestamp() * 1000
    assert paged.good_ms // 10_000 * 10_000 <= since_ms <= paged.bad_ms
    assert details["budget_left"].endswith("%")
    assert details["runbook"] == "https://runbooks.example/web-availability"
    alert = plant.record("the alert", AlertTransition, lambda a: a.alert_id in details["alerts"]).record
    assert details["explain"] == f"tocsin explain {alert.alert_id}"
    assert (alert.event_ms, alert.severity, alert.labels) == (paged.bad_ms, "page", {"service": paged.service})


def test_the_page_names_traces_of_bad_requests(paged: Burn) -> None:
    assert paged.details["exemplars"] == TRACE


def test_the_webhook_gets_what_alertmanager_would_send(plant: Plant, paged: Burn) -> None:
    came = plant.called("the webhook", lambda body: body.get("groupKey") == paged.incident, webhook=True)
    body = came.fields
    alert = body["alerts"][0]  # type: ignore[index]
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "webhook")
    assert body["notification_reason"] == "first_notification"
    assert alert["labels"] == {
        "alertname": "web-availability",
        "slo": "web-availability",
        "service": "web",
        "severity": "page",
    }
    assert alert["fingerprint"] == paged.incident
    assert alert["startsAt"] == paged.details["since"]
    assert alert["endsAt"] == "0001-01-01T00:00:00Z"
    assert alert["annotations"]["summary"] == paged.event["payload"]["summary"]
    assert came.headers["idempotency-key"] != paged.details["notification"]  # one key a channel


def test_recovery_ends_it_everywhere(plant: Plant, recovered: Burn) -> None:
    mine = [i for i in plant.pager.pagerduty.incidents if i.dedup_key == recovered.incident]
    assert [incident.status for incident in mine] == ["resolved"]
    assert [action for _, action in mine[0].told] == ["trigger", "resolve"]
    ended = plant.called(
        "the webhook's end",
        lambda body: body.get("groupKey") == recovered.incident and body["status"] == "resolved",
        webhook=True,
    )
    alert = ended.fields["alerts"][0]  # type: ignore[index]
    begun, over = (dt.datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
    assert begun < over
    last = plant.record(
        "the incident's end",
        IncidentTransition,
        lambda i: i.incident_id == recovered.incident and i.state == "resolved",
    ).record
    assert (last.severity, last.reason) == ("none", "all alerts resolved")


def test_a_command_acknowledges_at_the_pager(plant: Plant) -> None:
    burning = burn(plant, "desk")
    opened = plant.record("its incident", IncidentTransition, lambda i: i.incident_id == burning.incident)
    command = Command("command-1", "acknowledge", burning.incident, "ada", now_ms(), {})
    producer = Producer({"bootstrap.servers": plant.bootstrap, "acks": "all"})
    for _ in range(2):  # a person may press twice
        producer.produce(topics.COMMANDS, codec.encode(command), burning.incident, opened.partition)
    assert producer.flush(10) == 0
    plant.called(
        "the acknowledgement", lambda e: e["event_action"] == "acknowledge" and e["dedup_key"] == burning.incident
    )
    changed = plant.record(
        "its transition", IncidentTransition, lambda i: i.incident_id == burning.incident and i.state == "acknowledged"
    ).record
    assert (changed.actor, changed.reason, changed.number) == ("ada", "acknowledged by a person", 2)
    incident = next(i for i in plant.pager.pagerduty.incidents if i.dedup_key == burning.incident)
    assert (incident.status, [action for _, action in incident.told]) == ("acknowledged", ["trigger", "acknowledge"])


def test_people_say_so_on_the_command_line(plant: Plant) -> None:
    burning = burn(plant, "night")
    done = plant.tocsin("ack", burning.incident[:12], "--as", "ada", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["state"], told["actor"], told["reason"]) == ("acknowledged", "ada", "acknowledged by a person")
    again = plant.tocsin("ack", burning.incident, "--as", "grace")
    assert (again.code, "by ada" in again.out) == (0, True)
    done = plant.tocsin("resolve", burning.incident, "--as", "ada", "--note", "rolled back")
    assert (done.code, "resolved by a person by ada" in done.out) == (0, True), done.err
    plant.called("its end", lambda e: e["event_action"] == "resolve" and e["dedup_key"] == burning.incident)
    assert plant.tocsin("ack", burning.incident).code == 1  # it is over
    assert "by ada" in plant.tocsin("explain", burning.incident).out


def test_probes_and_metrics_tell_the_truth(plant: Plant, recovered: Burn) -> None:
    assert json.loads(plant.ask("/livez")[1])["loop_turned_seconds_ago"] < 5
    assert set(json.loads(plant.ask("/startupz")[1])["assignments"]) == {"aggregate", "merge", "notify"}
    status, body = plant.ask("/readyz")
    lags = json.loads(body)["lag"]
    assert status == 200
    assert set(lags) == {
        f"{topic}[{p}]" for topic in (topics.TELEMETRY, topics.PARTIALS, topics.ALERTS) for p in range(PARTITIONS)
    }
    assert all(0 <= lag <= READY_LAG_RECORDS for lag in lags.values())
    assert plant.ask("/nothing")[0] == 404
    assert plant.metric("tocsin_unaccounted_events") == {
        f'{{partition="{p}",stage="{stage}"}}': 0.0
        for stage in ("aggregate", "merge", "notify")
        for p in range(PARTITIONS)
    }
    fates = plant.metric("tocsin_measurements_total")
    assert fates['{fate="accepted"}'] >= GOOD + BAD + MANY
    assert fates['{fate="aggregated"}'] == fates['{fate="accepted"}']
    assert plant.metric("tocsin_alert_transitions_total")['{severity="page"}'] >= 1


@needs_promtool
def test_promtool_has_no_complaint_of_the_workers_metrics(plant: Plant, recovered: Burn) -> None:
    done = promtool.run("check", "metrics", standard_input=plant.ask("/metrics")[1])
    assert done.returncode == 0, done.stdout + done.stderr


def test_slo_shows_the_worst_first(plant: Plant, recovered: Burn) -> None:
    done = plant.tocsin("slo", "web-availability", "--json")
    assert (done.code, done.err) == (0, "")
    mine = next(s for s in json.loads(done.out) if s["labels"] == {"service": recovered.service})
    assert (mine["state"], mine["severity"]) == ("healthy", "none")
    assert mine["burn"][0]["long_ms"] == 120_000
    assert "web-availability" in plant.tocsin("slo").out
    assert plant.tocsin("slo", "no-such-slo").code == 1


def test_tail_reads_rollups_as_lines_of_json(plant: Plant, recovered: Burn) -> None:
    plant.until("a rollup", lambda: plant.tap.of(topics.ROLLUPS))
    done = plant.tocsin("tail", topics.ROLLUPS, "-n", "5", "--json")
    rows = rows_of(done.out)
    assert done.code == 0
    assert 1 <= len(rows) <= 5
    assert {row["value"]["window_ms"] for row in rows} <= {10_000, 60_000, 300_000, 3_600_000}
    assert all(cell["metric"] == "http.request" for row in rows for cell in row["value"]["cells"])
    assert plant.tocsin("tail", "no.such.topic").code == 2


def test_explain_tells_the_whole_story(plant: Plant, recovered: Burn) -> None:
    done = plant.tocsin("explain", recovered.incident, "--json")
    assert done.code == 0
    case = json.loads(done.out)
    fired = next(iter(case["alerts"].values()))[0]
    rule = fired["burn"][0]
    assert case["incident_id"] == recovered.incident
    assert [change["state"] for change in case["incident"]][:1] == ["open"]
    assert [change["state"] for change in case["incident"]][-1:] == ["resolved"]
    assert (rule["long_ms"], rule["short_ms"], rule["factor"], rule["exceeded"]) == (120_000, 10_000, 14.4, True)
    assert (rule["long_good"], rule["long_total"]) == (GOOD, GOOD + BAD)
    assert fired["event_ms"] == recovered.bad_ms
    assert fired["config_hash"]
    assert fired["source_offsets"]
    told = [one["record"] for changes in case["deliveries"].values() for one in changes]
    delivered = {(one["channel"], one["action"]) for one in told if one["status"] == "delivered"}
    assert delivered >= {(channel, action) for channel in ("pagerduty", "webhook") for action in ("trigger", "resolve")}
    text = plant.tocsin("explain", recovered.incident[:12])
    assert text.code == 0
    for part in (
        f"Incident {recovered.incident}", "60 / 160", "37.5%", "2m", "10s", "14.4x", "watermark", "read up to",
        f"telemetry.partials[{fired['partition']}]@{fired['offset']}", f"configuration {fired['config_hash']}",
        "pagerduty: trigger delivered", "webhook: resolve delivered", "HTTP 202",
    ):  # fmt: skip
        assert part in text.out, text.out
    assert plant.tocsin("explain", "ffffffffffffffffffff").code == 1


def test_doctor_finds_nothing_wrong(plant: Plant) -> None:
    done = plant.tocsin("doctor", "--json")
    checks = {check["name"]: check["status"] for check in json.loads(done.out)}
    assert done.code == 0, done.out
    assert {name for name, status in checks.items() if status != "ok"} == set()
    assert {"settings", "SLOs", "broker", "topics", "write", "workers", "channel pagerduty"} <= set(checks)


def test_exit_codes_say_what_kind_of_failure_it_was(plant: Plant) -> None:
    assert plant.tocsin("slo", "--bootstrap", "127.0.0.1:1").code == 3
    assert plant.tocsin("slo", "--no-such-option").code == 2
    assert plant.tocsin("doctor", "--json", TOCSIN_PARTITIONS="3").code == 1  # the topics have two
