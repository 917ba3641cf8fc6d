"""Compatibility: each schema of the tree stands beside every released version; each rule is met once on purpose."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.bundled import names, schema
from schemas.compatibility import clashes, full_transitive, released_versions

BASE: dict[str, Any] = {
    "type": "record",
    "name": "R",
    "fields": [
        {"name": "a", "type": "int", "default": 0},
        {"name": "bare", "type": "string"},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["x", "y"]}, "default": "x"},
        {"name": "list", "type": {"type": "array", "items": {"type": "map", "values": "long"}}, "default": []},
        {"name": "f", "type": {"type": "fixed", "name": "F", "size": 4}},
        {"name": "u", "type": ["null", "string"], "default": None},
        {"name": "again", "type": ["null", "E", "R"], "default": None},
    ],
}


def changed(index: int, **fields: Any) -> dict[str, Any]:
    out = copy.deepcopy(BASE)
    out["fields"][index] |= fields
    return out


def with_field(**field: Any) -> dict[str, Any]:
    out = copy.deepcopy(BASE)
    out["fields"].append(field)
    return out


def without(index: int) -> dict[str, Any]:
    out = copy.deepcopy(BASE)
    del out["fields"][index]
    return out


@pytest.mark.parametrize("name", names())
def test_bundled_schemas_are_fully_compatible_with_every_release(name: str) -> None:
    versions = released_versions(name)
    assert "1" in versions
    assert [str(clash) for clash in full_transitive(schema(name).definition, versions)] == []


@pytest.mark.parametrize(
    "now",
    [
        BASE,
        with_field(name="new", type="string", default=""),
        without(0),
        without(5),
        changed(0, doc="other words"),
        {**BASE, "doc": "d", "namespace": "elsewhere"},
    ],
)
def test_what_is_allowed(now: Any) -> None:
    assert full_transitive(now, {"1": BASE}) == []


@pytest.mark.parametrize(
    ("now", "field", "readers"),
    [
        (with_field(name="new", type="string"), "R.new", ["now"]),
        (without(1), "R.bare", ["1"]),
        (changed(0, type="long"), "R.a", ["1"]),
        (changed(0, type="boolean"), "R.a", ["now", "1"]),
        (changed(1, name="renamed"), "R.renamed", ["now", "1"]),
        (changed(1, name="renamed", aliases=["bare"]), "R.bare", ["1"]),
        (changed(2, type={"type": "enum", "name": "E", "symbols": ["x"]}), "R.e", ["now"]),
        (changed(2, type={"type": "enum", "name": "E", "symbols": ["x", "y", "z"]}), "R.e", ["1"]),
        (changed(2, type={"type": "enum", "name": "E2", "symbols": ["x", "y"]}), "R.e", ["now", "1"]),
        (changed(3, type={"type": "array", "items": {"type": "map", "values": "string"}}), "R.list[]{}", ["now", "1"]),
        (changed(4, type={"type": "fixed", "name": "F", "size": 5}), "R.f", ["now", "1"]),
        (changed(5, type="string"), "R.u", ["now"]),
        (changed(5, type=["null", "string", "boolean"]), "R.u", ["1"]),
        ({**BASE, "name": "S"}, "S", ["now", "1"]),
    ],
)
def test_what_is_not_allowed_is_named(now: Any, field: str, readers: list[str]) -> None:
    found = full_transitive(now, {"1": BASE})
    assert sorted({clash.reader for clash in found}) == sorted(readers)
    assert any(clash.field in (field, field.replace("renamed", "bare"), "R") for clash in found), found
    assert all(clash.why in str(clash) for clash in found)


def test_it_is_transitive() -> None:
    second = without(0)
    third = copy.deepcopy(second)
    third["fields"].append({"name": "a", "type": "string", "default": ""})  # deleted, then back as another type
    assert full_transitive(third, {"2": second}) == []
    assert {clash.writer for clash in full_transitive(third, {"1": BASE, "2": second})} == {"1", "now"}


def test_promotions_go_one_way() -> None:
    assert clashes("int", "double") == []
    assert [clash.why for clash in clashes("double", "int")] == ["double cannot be read as int"]
    assert clashes("string", "bytes") == clashes("bytes", "string") == []
    assert clashes({"type": "string"}, "string") == []


def test_an_enum_with_a_default_may_grow() -> None:
    grown = {"type": "enum", "name": "E", "symbols": ["x", "y", "z"], "default": "x"}
    before = {"type": "enum", "name": "E", "symbols": ["x", "y"], "default": "x"}
    assert clashes(grown, before) == clashes(before, grown) == []


def test_a_name_that_was_never_released_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        released_versions("nothing")
