"""The story of an incident, for people and for programs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from tests.cli.build import INCIDENT, FakeLog

Run = Callable[..., Result]
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("wanted", ["bb01000000000001", "bb01", "aa01", "cc01000000000002", "dd01", "bb"])
def test_any_id_leads_to_the_whole_story(run: Run, log: FakeLog, wanted: str) -> None:
    """`TOCSIN_GOLDEN=write` writes the file anew."""
    found = run("explain", wanted)
    assert found.exit_code == 0
    path = GOLDEN / "explain.txt"
    if os.environ.get("TOCSIN_GOLDEN") == "write":
        path.write_text(found.stdout, encoding="utf-8")
    assert found.stdout == path.read_text(encoding="utf-8")


def test_what_a_page_must_say_is_said(run: Run, log: FakeLog) -> None:
    text = run("explain", "bb01").stdout
    for needed in (
        "120 / 3,000", "40.0x", "14.4x", "3.25% > 1.44%", "99.9% good over 30d", "default-30d", "0123456789abcdef",
        "telemetry.partials[2]@1234", "[0]@99, [1]@101", "15:59:55.000", "HTTP 503", "delivered at attempt 2", "no data",
        "+1.8 s", "the incident is new", "ab" * 16, "https://wiki/checkout",
    ):  # fmt: skip
        assert needed in text, needed


def test_json(run: Run, log: FakeLog) -> None:
    found = json.loads(run("explain", "aa01", "--json").stdout)
    assert found["incident_id"] == "bb01000000000001"
    assert [one["number"] for one in found["alerts"]["aa01000000000001"]] == [1, 2]
    assert [one["record"]["status"] for one in found["deliveries"]["dd01000000000001"]] == [
        "pending",
        "pending",
        "delivered",
    ]


def test_nothing_found_is_1_and_says_where_ids_come_from(run: Run, log: FakeLog) -> None:
    found = run("explain", "ffff")
    assert (found.exit_code, found.stdout) == (1, "")
    assert "tocsin tail incidents" in found.stderr


def test_an_ambiguous_beginning_names_them_all(run: Run, log: FakeLog) -> None:
    log.put(
        "incidents", dataclasses.replace(INCIDENT, incident_id="bb02", alert_ids=(), transition_ids=(), title="Search")
    )
    found = run("explain", "bb0")
    assert found.exit_code == 2
    assert "bb01000000000001  Checkout" in found.stderr
    assert "bb02  Search" in found.stderr


def test_an_alert_that_never_had_an_incident(run: Run, log: FakeLog) -> None:
    log.topics["incidents"].clear()
    log.topics["notifications"].clear()
    found = run("explain", "aa01")
    assert found.exit_code == 0
    assert "Incident" not in found.stdout
    assert "120 / 3,000" in found.stdout


def test_what_cannot_be_read_is_left_out_and_said(run: Run, log: FakeLog) -> None:
    log.put("alerts", b"nonsense")
    log.put("alerts", None, "gone")
    found = run("explain", "bb01")
    assert found.exit_code == 0
    assert "1 records could not be read" in found.stderr
