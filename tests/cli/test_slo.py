"""The table of SLOs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from tests.cli.build import STATUS, T0, FakeLog

Run = Callable[..., Result]


@pytest.fixture
def many(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    monkeypatch.setattr("cli.slo.time.time_ns", lambda: (T0 + 90_000) * 1_000_000)
    log.put("slo.status", dataclasses.replace(STATUS, slo="search", state="healthy", severity="none"), "search")
    log.put(
        "slo.status", dataclasses.replace(STATUS, slo="login", state="unmeasured", last_data_ms=0, burn=()), "login"
    )
    log.put("slo.status", dataclasses.replace(STATUS, slo="old"), "old")
    log.put("slo.status", None, "old")
    log.put("slo.status", dataclasses.replace(STATUS, state="exhausted", objective=1), "checkout-2")
    log.put("slo.status", b"nonsense", "x")
    return log


def test_the_worst_comes_first(run: Run, many: FakeLog) -> None:
    assert run("slo").stdout.splitlines() == [
        "SLO         GROUP        STATE       SEVERITY  BUDGET LEFT  BURN                  DATA",
        "checkout/1  {region=eu}  exhausted   page      93.1%        40.0x in 1h of 14.4x  1.5 min ago",
        "checkout    {region=eu}  burning     page      93.1%        40.0x in 1h of 14.4x  1.5 min ago",
        "login       {region=eu}  unmeasured  page      93.1%        -                     never",
        "search      {region=eu}  healthy     none      93.1%        40.0x in 1h of 14.4x  1.5 min ago",
    ]


def test_the_newest_of_a_group_counts(run: Run, many: FakeLog) -> None:
    many.put("slo.status", dataclasses.replace(STATUS, state="healthy"), "checkout-eu")
    states = {row["slo"]: row["state"] for row in json.loads(run("slo", "--json").stdout) if not row["objective"]}
    assert states == {"checkout": "healthy", "login": "unmeasured", "search": "healthy"}


def test_by_name(run: Run, many: FakeLog) -> None:
    assert len(json.loads(run("slo", "check", "--json").stdout)) == 2
    found = run("slo", "nothing")
    assert found.exit_code == 1
    assert found.stdout == ""


@pytest.mark.parametrize(("name", "code"), [("search", 0), ("checkout", 1), ("login", 1), ("", 1)])
def test_check_is_for_scripts(run: Run, many: FakeLog, name: str, code: int) -> None:
    assert run("slo", name, "--check").exit_code == code
    assert run("slo", name).exit_code == 0


def test_an_empty_list_says_the_next_step(run: Run, log: FakeLog) -> None:
    log.topics["slo.status"].clear()
    found = run("slo")
    assert (found.exit_code, found.stdout) == (0, "")
    assert "tocsin doctor" in found.stderr
    assert json.loads(run("slo", "--json").stdout) == []
