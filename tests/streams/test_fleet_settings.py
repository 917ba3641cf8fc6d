"""Settings of the adapter come from the environment, and bad ones are named."""

import pytest

from access.environment import BadSettings
from fleet.adapter import Kind
from streams import fleet_settings
from streams.settings import Settings


def test_defaults_are_those_of_fleet_telemetrys_example():
    found = fleet_settings.load()
    assert [found.topic(kind) for kind in Kind] == [
        "tesla_telemetry_V", "tesla_telemetry_alerts", "tesla_telemetry_errors", "tesla_telemetry_connectivity",
    ]  # fmt: skip
    assert found.naming.source("VIN-1").startswith("vehicle-")


def test_settings_come_from_the_environment(monkeypatch):
    for name, value in {"NAMESPACE": "ours", "VIN": "hash", "VIN_SECRET": "words"}.items():
        monkeypatch.setenv(f"TOCSIN_FLEET_{name}", value)
    found = fleet_settings.load()
    assert found.topic(Kind.ALERTS) == "ours_alerts"
    assert found.naming.secret == "words"
    assert "words" not in repr(found)
    assert fleet_settings.load(vin="plain").naming.source("VIN-1") == "VIN-1"


def test_bad_ones_are_named_and_a_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("TOCSIN_FLEET_NAMESPACE", "a b")
    monkeypatch.setenv("TOCSIN_FLEET_VIN", "half")
    with pytest.raises(BadSettings) as refused:
        fleet_settings.load()
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "TOCSIN_FLEET_NAMESPACE", "TOCSIN_FLEET_VIN",
    ]  # fmt: skip
    with pytest.raises(BadSettings) as refused:
        fleet_settings.load(namespace="ours", vin="plain", vin_secret=["words"])
    assert "words" not in str(refused.value)


def test_a_process_has_a_group_of_its_own_and_takes_less_at_once():
    found = fleet_settings.of_a_process(Settings(application="ours", max_chunk_records=10))
    assert (found.application, found.max_chunk_records) == ("ours.fleet", 10)
    assert found.max_unsaved_records == fleet_settings.UNSAVED_RECORDS
