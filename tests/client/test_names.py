"""Names: what is accepted, and that a refusal says what was wrong."""

from __future__ import annotations

import pytest
from tocsin import InvalidLabel, InvalidName, InvalidOption, InvalidSource, limits, names


@pytest.mark.parametrize("name", ["http.request", "Vehicle.Speed", "_x", "a:b/c-d"])
def test_usual_metrics_are_accepted(name: str) -> None:
    assert names.metric(name) == name


@pytest.mark.parametrize("name", ["", "1st", "a b", "ä", "a\n", "a" * (limits.METRIC_CHARS + 1), None, 7])
def test_other_metrics_are_refused(name: object) -> None:
    with pytest.raises(InvalidName):
        names.metric(name)  # type: ignore[arg-type]


def test_the_longest_metric_is_accepted() -> None:
    assert names.metric("a" * limits.METRIC_CHARS)


@pytest.mark.parametrize("unit", ["", "u" * (limits.UNIT_CHARS + 1), "\ud800", None])
def test_units_are_text_of_some_length(unit: object) -> None:
    with pytest.raises(InvalidName):
        names.unit(unit)  # type: ignore[arg-type]


def test_labels_are_sorted_and_integers_become_text() -> None:
    assert names.labels({"b": "2", "a": 1}) == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize(
    "given",
    [
        {"1a": "x"},
        {"a b": "x"},
        {"a": True},
        {"a": 1.5},
        {"a": None},
        {"a": "\ud800"},
        {"tocsin_overflow": "true"},
        {"k" * (limits.LABEL_KEY_CHARS + 1): "x"},
        {"a": "x" * (limits.LABEL_VALUE_CHARS + 1)},
    ],
)
def test_other_labels_are_refused(given: dict[str, object]) -> None:
    with pytest.raises(InvalidLabel):
        names.labels(given)


def test_the_number_of_labels_counts_the_resource() -> None:
    full = {f"k{i}": "v" for i in range(limits.LABELS - 4)}
    assert len(names.labels(full, reserved=4)) == limits.LABELS - 4
    with pytest.raises(InvalidLabel, match="16 are allowed together"):
        names.labels(full, reserved=5)


def test_the_docstring_is_the_message() -> None:
    assert str(InvalidOption("x=1")) == "An option of the client has a value that it cannot have: x=1"


def test_sources() -> None:
    assert names.source("web-1") == "web-1"
    for bad in ("", "x" * (limits.SOURCE_CHARS + 1), "\udfff", None):
        with pytest.raises(InvalidSource):
            names.source(bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidSource, match="one of web, desktop, vehicle, other"):
        names.source_kind("car")
    with pytest.raises(InvalidSource):
        names.attribute("service", "x" * (limits.LABEL_VALUE_CHARS + 1))
