"""Quotas: the average holds, one tenant's do not touch another's, and what is remembered is bounded."""

from __future__ import annotations

import pytest

from gateway import quotas as room
from gateway.identity import Identity
from gateway.limits import SERIES_WINDOW_S
from gateway.quotas import Quotas, Rates
from gateway.refusal import Refusal
from gateway.verdicts import Record
from tests.gateway.test_keys import Clock

ONE, OTHER = Identity("a", "one", prefix=""), Identity("b", "other", prefix="")


def record(source: str = "s", measurements: int = 1, series: tuple[int, ...] = (1,)) -> Record:
    return Record(b"x" * 10, source, "boot", 0, measurements, frozenset(), series, b"s")


@pytest.fixture
def clock():
    return Clock()


def taken(quotas: Quotas, identity: Identity, size: int = 0) -> bool:
    try:
        quotas.request(identity, size)
    except Refusal as no:
        return not (no.status == 429 and no.reason == "quota" and no.retry_after_s >= 1)
    return True


def test_without_limits_everything_passes(clock):
    quotas = Quotas(Rates(), Rates(), 1.0, clock)
    for _ in range(1_000):
        quotas.request(ONE, 1 << 20)
        assert quotas.record(ONE, record(measurements=1 << 20, series=(1, 2, 3))) is None


def test_requests_of_a_tenant(clock):
    quotas = Quotas(Rates(requests=5), Rates(), 2.0, clock)
    assert sum(taken(quotas, ONE) for _ in range(50)) == 10
    assert taken(quotas, OTHER), "another tenant is another account"
    clock.now += 1
    assert sum(taken(quotas, ONE) for _ in range(50)) == 5
    clock.now += 1_000
    assert sum(taken(quotas, ONE) for _ in range(50)) == 10, "no more than the burst is saved up"


def test_the_average_holds_though_a_body_may_be_larger_than_the_burst(clock):
    quotas = Quotas(Rates(bytes=100), Rates(), 1.0, clock)
    passed = 0
    for _ in range(1_000):
        passed += 1_000 * taken(quotas, ONE, 1_000)
        clock.now += 1
    assert 100_000 <= passed <= 102_000


def test_the_time_to_wait_is_long_enough_and_not_much_longer(clock):
    quotas = Quotas(Rates(bytes=100), Rates(), 1.0, clock)
    quotas.request(ONE, 1_000)
    with pytest.raises(Refusal) as caught:
        quotas.request(ONE, 1)
    assert caught.value.retry_after_s == 10
    clock.now += 8
    assert not taken(quotas, ONE, 1)
    clock.now += 2
    assert taken(quotas, ONE, 1)


def test_bytes_that_were_not_declared_count_too(clock):
    quotas = Quotas(Rates(bytes=100), Rates(), 1.0, clock)
    quotas.request(ONE, 0)
    quotas.more(ONE, 1_000)
    assert not taken(quotas, ONE)


def test_a_source_over_its_quota_does_not_stop_its_neighbours(clock):
    quotas = Quotas(Rates(), Rates(measurements=10), 1.0, clock)
    assert quotas.record(ONE, record("a", 100)) is None
    against = quotas.record(ONE, record("a", 1))
    assert (against.status, against.reason, against.retry_after_s) == ("retry", "quota", 10)
    assert quotas.record(ONE, record("b", 1)) is None
    assert quotas.record(OTHER, record("a", 1)) is None
    clock.now += 10
    assert quotas.record(ONE, record("a", 1)) is None


def test_measurements_of_a_tenant_over_all_its_sources(clock):
    quotas = Quotas(Rates(measurements=10), Rates(), 1.0, clock)
    assert quotas.record(ONE, record("a", 100)) is None
    assert quotas.record(ONE, record("b", 1)).status == "retry"
    assert quotas.record(OTHER, record("b", 1)) is None


def test_series_of_a_source_and_of_a_tenant(clock):
    quotas = Quotas(Rates(series=5), Rates(series=3), 1.0, clock)
    assert quotas.record(ONE, record("a", series=(1, 2, 3))) is None
    assert quotas.record(ONE, record("a", series=(3, 2, 1))) is None, "known ones cost nothing"
    against = quotas.record(ONE, record("a", series=(1, 4)))
    assert (against.status, against.reason) == ("rejected", "series")
    assert quotas.record(ONE, record("b", series=(1, 2))) is None
    assert quotas.record(ONE, record("c", series=(1,))).status == "rejected", "the tenant's five are used up"
    assert quotas.record(OTHER, record("c", series=(1,))) is None
    clock.now += SERIES_WINDOW_S + 1
    assert quotas.record(ONE, record("a", series=(4, 5, 6))) is None


def test_what_is_remembered_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(room, "QUOTA_SOURCES", 10)
    monkeypatch.setattr(room, "QUOTA_SERIES", 100)
    quotas = Quotas(Rates(series=1_000_000), Rates(measurements=1), 1.0, clock)
    for number in range(1_000):
        quotas.record(ONE, record(f"s{number}", series=(number,)))
    assert len(quotas._sources._known) == 10
    assert quotas._series._held <= 101
