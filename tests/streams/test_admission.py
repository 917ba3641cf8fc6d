"""A start that waits: while the broker refuses, with what it lacks; at once without security."""

from __future__ import annotations

from prometheus_client import REGISTRY

from access.refusals import AUTHENTICATION
from streams import admission
from streams.limits import ADMISSION_MOST_S, LOOP_STALL_S
from streams.settings import Settings
from streams.topics import BrokerRefuses

SECURED = {"kafka_protocol": "ssl"}


def count(reason: str) -> float:
    return REGISTRY.get_sample_value("tocsin_broker_refusals_total", {"reason": reason}) or 0.0


def test_without_security_nobody_is_asked(monkeypatch):
    asked, told = [], []
    monkeypatch.setattr(admission, "refusal", asked.append)
    admission.wait(Settings(), told.append)
    assert (asked, told) == ([], [])


def test_it_waits_more_and_more_seldom_and_says_why_each_time(monkeypatch):
    answers = [BrokerRefuses(f"no {number}", AUTHENTICATION) for number in range(7)]
    monkeypatch.setattr(admission, "refusal", lambda _: answers.pop(0) if answers else None)
    told, slept, before = [], [], count(AUTHENTICATION)
    admission.wait(Settings(**SECURED), told.append, slept.append)
    assert told == [*(f"no {number}" for number in range(7)), ""]
    assert slept == [1, 2, 4, 8, ADMISSION_MOST_S, ADMISSION_MOST_S, ADMISSION_MOST_S]
    assert count(AUTHENTICATION) - before == 7
    assert ADMISSION_MOST_S < LOOP_STALL_S, "a start that waits is live"


def test_silence_is_no_refusal(monkeypatch):
    monkeypatch.setattr(admission, "START_LOOK_S", 0.2)
    assert admission.refusal(Settings(bootstrap="127.0.0.1:1", **SECURED)) is None
