"""Options: code over environment over default; a mistake names the place that it is in."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from tocsin import Client, InvalidOption, MemoryTransport, options

from demo.wire import read_batch


def test_code_wins_over_the_environment_which_wins_over_the_default() -> None:
    told = {"TOCSIN_SERVICE": "env", "TOCSIN_FLUSH_INTERVAL": "2.5", "TOCSIN_BATCH_SIZE": "7", "TOCSIN_REPORT": "off"}
    settled = options.settle({"service": "code", "region": None}, told)
    assert (settled["service"], settled["flush_interval"], settled["batch_size"]) == ("code", 2.5, 7)
    assert settled["report"] is False
    assert settled["region"] == ""


def test_lists_and_attributes_have_a_written_form() -> None:
    told = {"TOCSIN_LABELS_DENY": "a, b,", "TOCSIN_ATTRIBUTES": "host=h1, rack = 2"}
    settled = options.settle({}, told)
    assert settled["labels_deny"] == ["a", "b"]
    assert settled["attributes"] == {"host": "h1", "rack": "2"}


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("TOCSIN_FLUSH_INTERVAL", "soon", "between 0.001 and 3600.0"),
        ("TOCSIN_FLUSH_INTERVAL", "nan", "between 0.001"),
        ("TOCSIN_BATCH_SIZE", "2.5", "between 1 and 4096"),
        ("TOCSIN_BATCH_SIZE", "0", "between 1 and 4096"),
        ("TOCSIN_DISABLED", "maybe", "true or false"),
        ("TOCSIN_ATTRIBUTES", "host", "a=1,b=2"),
    ],
)
def test_a_bad_variable_is_named_with_its_value(variable: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidOption, match=variable) as found:
        options.settle({}, {variable: value})
    assert repr(value) in str(found.value)
    assert expected in str(found.value)


@pytest.mark.parametrize("option", ["token", "hash_key"])
@pytest.mark.parametrize("value", [b"0123456789abcdef", 1234567890123456])
def test_no_message_repeats_a_secret(option: str, value: object) -> None:
    with pytest.raises(InvalidOption, match=option) as found:
        options.settle({option: value}, {})
    assert "123456789" not in str(found.value)
    assert type(value).__name__ in str(found.value)


def test_the_limit_of_series_is_not_a_workers_setting() -> None:
    assert options.settle({}, {"TOCSIN_MAX_SERIES": "5"})["max_series"] != 5


def test_a_client_out_of_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SERVICE": "shop", "SOURCE": "web-1", "KIND": "web", "ROLLOUT": "r7", "VERSION": "2"}.items():
        monkeypatch.setenv(f"TOCSIN_{name}", value)
    transport = MemoryTransport()
    with Client(transport=transport) as made:
        made.deploy(by="ci")
    batch = read_batch(transport.records[0][1])
    assert (batch.source, batch.source_kind) == ("web-1", "web")
    metric, kind, unit, _, labels = batch.identities[0]
    assert (metric, kind, unit) == ("tocsin.deploy", "counter", "{deploy}")
    assert dict(labels) == {"service": "shop", "version": "2", "rollout": "r7", "by": "ci"}
    monkeypatch.setenv("TOCSIN_URL", "carrier-pigeon://x")
    with pytest.raises(InvalidOption, match="carrier-pigeon"):
        Client()


def test_a_destination_is_needed_unless_it_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidOption, match="TOCSIN_URL"):
        Client(service="x")
    monkeypatch.setenv("TOCSIN_DISABLED", "1")
    made = Client(service="x")
    made.counter("c").add(1)
    made.gauge("g").set(1)
    made.outcome("o").observe(False)
    with made.measure("m"):
        pass
    assert made._pump.thread is None
    assert made.flush(1)
    assert (made.stats.recorded, made.stats.refused) == (0, {})
    assert made.close()


def test_a_disabled_client_still_checks_names() -> None:
    made = Client(service="x", disabled=True)
    with pytest.raises(ValueError, match="no spaces"):
        made.counter("no spaces")
    made.close()


def as_written(default: object) -> str:
    if default in (None, "", ()) or default == {}:
        return "(none)"
    if isinstance(default, bool):
        return str(default).lower()
    return str(int(default)) if isinstance(default, float) and default.is_integer() else str(default)


def test_the_readme_lists_every_option() -> None:
    text = (Path(__file__).parents[2] / "client" / "README.md").read_text(encoding="utf-8")
    listed = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (?:`(\w+)`)? ?\| ([^|]*) \|", text, re.MULTILINE)}
    assert listed.pop("transport") == ("TOCSIN_URL", "(none)")
    assert listed == {
        option: ("" if option in options.CODE_ONLY else options.variable(option), as_written(default))
        for option, (_, default) in options.TABLE.items()
    }


def test_the_client_takes_every_option() -> None:
    parameters = set(inspect.signature(Client).parameters)
    assert parameters == {*options.TABLE, "transport", "kafka"}
