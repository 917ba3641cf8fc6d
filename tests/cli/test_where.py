"""Which broker: option, variables, the embedded one, the default."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import where


def test_the_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path))
    for name in ("TOCSIN_BOOTSTRAP", "KAFKA_BOOTSTRAP"):
        monkeypatch.delenv(name, raising=False)
    assert where.bootstrap(None) == "127.0.0.1:9092"
    monkeypatch.setattr(where, "embedded", lambda: "127.0.0.1:1")
    assert where.bootstrap(None) == "127.0.0.1:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "k:2")
    assert where.bootstrap(None) == "k:2"
    monkeypatch.setenv("TOCSIN_BOOTSTRAP", "t:3")
    assert where.bootstrap(None) == "t:3"
    assert where.bootstrap("given:4") == "given:4"


def test_a_broker_that_is_gone_is_not_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TOCSIN_HOME", str(tmp_path))
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "broker.json").write_text("{}", encoding="utf-8")
    assert where.embedded() == ""
