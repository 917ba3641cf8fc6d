"""Settings from the environment: defaults of the rooms, one line for each mistake, no secret repeated."""

import pytest

from access.environment import BadSettings
from rollups.limits import Lateness
from streams import settings


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith(settings.PREFIX):
            monkeypatch.delenv(name)


def test_the_defaults_are_the_rooms():
    assert settings.load().lateness == Lateness()


def test_the_environment_decides(monkeypatch):
    monkeypatch.setenv("TOCSIN_LATENESS_MS", "1,2,3,4")
    monkeypatch.setenv("TOCSIN_MAX_SERIES", "17")
    monkeypatch.setenv("TOCSIN_SKEW_AHEAD_MS", "700")
    monkeypatch.setenv("TOCSIN_SKEW_BEHIND_MS", "0")
    found = settings.load()
    assert found.lateness.lateness_ms == (1, 2, 3, 4)
    assert (found.lateness.skew_ahead_ms, found.lateness.skew_behind_ms) == (700, 0)
    assert found.limits.max_series == 17


def test_every_mistake_is_named_at_once(monkeypatch):
    monkeypatch.setenv("TOCSIN_PARTITIONS", "many")
    monkeypatch.setenv("TOCSIN_LATENESS_MS", "1,2,3")
    with pytest.raises(BadSettings) as bad:
        settings.load()
    assert len(bad.value.problems) == 2
    assert "TOCSIN_PARTITIONS" in str(bad.value)
    assert "found 'many'" in str(bad.value)
    assert "TOCSIN_LATENESS_MS" in str(bad.value)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("TOCSIN_HEARTBEAT_S", "5", "TOCSIN_SESSION_TIMEOUT_S"),
        ("TOCSIN_SNAPSHOT_MIN_S", "60", "TOCSIN_SNAPSHOT_MAX_S"),
        ("TOCSIN_RESTORE_TIMEOUT_S", "80", "75"),
    ],
)
def test_pairs_that_make_no_sense(monkeypatch, name, value, word):
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSettings) as bad:
        settings.load()
    assert name in str(bad.value)
    assert word in str(bad.value)


def test_settings_do_not_change():
    with pytest.raises(Exception, match="frozen"):
        settings.load().partitions = 5
