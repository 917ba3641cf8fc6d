"""What the doctor says about what is wrong, without a broker."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli import checks
from cli.checks import Check

Run = Callable[..., Result]


@pytest.mark.parametrize(
    ("stamp", "status", "found"),
    [
        (1_000, "ok", "as the broker's"),
        (1_050, "ok", "as the broker's"),
        (1_200, "ok", "0.100 s ahead"),
        (3_000, "warn", "1.900 s ahead"),
        (-40_000, "fail", "41.000 s behind"),
    ],
)
def test_the_clock_is_judged_between_two_readings(stamp: int, status: str, found: str) -> None:
    check = checks.clock(stamp, 1_000, 1_100)
    assert check.status == status
    assert found in check.found
    assert bool(check.do) == (status != "ok")


def test_workers() -> None:
    assert checks.workers(None, 100_000).status == "warn"
    assert checks.workers(90_000, 100_000).status == "ok"
    assert checks.workers(10_000, 100_000).do == "start one with `tocsin worker`"


def test_settings_name_every_bad_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.settings({}).status == "ok"
    monkeypatch.setenv("TOCSIN_PARTITIONS", "none")
    monkeypatch.setenv("TOCSIN_CHECKPOINT_S", "-1")
    check = checks.settings({})
    assert check.status == "fail"
    assert "TOCSIN_PARTITIONS" in check.found
    assert "TOCSIN_CHECKPOINT_S" in check.found


def test_objectives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_SLO_PATH", str(tmp_path / "none"))
    assert checks.objectives().status == "fail"
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: [", encoding="utf-8")
    monkeypatch.setenv("TOCSIN_SLO_PATH", str(bad))
    assert checks.objectives().do == f"tocsin validate {bad}"


@pytest.mark.parametrize("bootstrap", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999999", ""])
def test_nothing_listens(bootstrap: str) -> None:
    assert checks.port(bootstrap).status == "fail"


def test_something_listens_that_is_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "ANSWER_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        bootstrap = f"127.0.0.1:{server.getsockname()[1]}"
        assert checks.port(bootstrap).status == "ok"
        check = checks.broker(bootstrap)
    assert check.status == "fail"
    assert "advertised.listeners" in check.do


def test_disk_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path / "not" / "there"))
    assert str(tmp_path) in checks.disk().found
    monkeypatch.setattr("local.limits.DISK_FREE_MIN_BYTES", 1 << 60)
    assert checks.disk().status == "fail"
    (tmp_path / "file").write_text("in its place")
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path / "file"))
    assert (checks.disk().status, checks.disk().found) == ("fail", f"{tmp_path / 'file'} takes no files")
    assert "TOCSIN_HOME" in checks.disk().do


def test_a_registry_that_is_away() -> None:
    assert checks.registry("ftp://x").status == "fail"
    check = checks.registry("http://127.0.0.1:1")
    assert check.status == "fail"
    assert "unset TOCSIN_REGISTRY_URL" in check.do


def test_channels(tmp_path: Path) -> None:
    path = tmp_path / "channels.yaml"
    assert checks.channels(str(path), {})[0].status == "fail"
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = server.getsockname()[1]
        path.write_text(
            "channels:\n"
            f"  - {{name: a, kind: webhook, url: 'http://127.0.0.1:{there}/'}}\n"
            "  - {name: b, kind: webhook, url: 'http://127.0.0.1:1/'}\n"
            f"  - {{name: c, kind: email, url: 'smtp://127.0.0.1:{there}', from: t@x, to: [a@x]}}\n"
            "  - {name: d, kind: slack, url: 'http://127.0.0.1:1/'}\n",
            encoding="utf-8",
        )
        found = checks.channels(str(path), {})
    assert [(check.name, check.status) for check in found] == [
        ("channel a", "ok"),
        ("channel b", "fail"),
        ("channel c", "ok"),
        ("channel d", "fail"),
    ]
    path.write_text("channels:\n  - {name: a, kind: webhook, url_env: NOT_SET}\n", encoding="utf-8")
    (check,) = checks.channels(str(path), {})
    assert "NOT_SET is not set" in check.found


def test_the_doctor_stops_where_the_rest_would_fail_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("doctor", "--bootstrap", "127.0.0.1:1", "--json")
    assert found.exit_code == 1
    checked = json.loads(found.stdout)
    assert checked[-1]["name"] == "port"
    assert "tocsin up" in checked[-1]["do"]
    text = run("doctor", "--bootstrap", "127.0.0.1:1").stdout
    assert "fail  port: nothing listens" in text
    assert "      to do: start a broker" in text


def test_each_answer_that_is_not_ok_says_what_to_do(run: Run) -> None:
    for check in json.loads(run("doctor", "--bootstrap", "127.0.0.1:1", "--json").stdout):
        assert (check["status"] == "ok") or check["do"]
    assert Check("x", "ok", "y").do == ""
