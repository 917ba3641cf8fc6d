"""What a shell may offer."""

from __future__ import annotations

import pytest

from cli import complete, reading
from tests.cli.build import FakeLog, story


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeLog:
    found = story()
    monkeypatch.setattr(reading, "KafkaLog", lambda *arguments: found)
    return found


def test_topics() -> None:
    assert [name for name, _ in complete.topic_names("telemetry.l")] == ["telemetry.late"]
    assert len(complete.topic_names("")) > 10


def test_incidents_and_slos_are_live(log: FakeLog) -> None:
    assert complete.incident_ids("bb") == [("bb01000000000001", "Checkout (resolved)")]
    assert complete.incident_ids("zz") == []
    assert complete.slo_names("ch") == ["checkout"]
    assert log.closed == 3


def test_any_failure_offers_nothing(monkeypatch: pytest.MonkeyPatch, log: FakeLog) -> None:
    log.put("incidents", b"nonsense")
    assert complete.incident_ids("") == []

    def away(*arguments: object) -> FakeLog:
        raise OSError

    monkeypatch.setattr(reading, "KafkaLog", away)
    assert complete.slo_names("") == []
