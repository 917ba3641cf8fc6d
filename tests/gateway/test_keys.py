"""Keys: known by hash, rotated without a gap, never from a file with a mistake."""

from __future__ import annotations

import os

import pytest

from gateway.identity import WRITE
from gateway.keys import BadKeys, Keys, hash_of, made, read
from gateway.limits import KEYS_LOOK_S

OLD, NEW = made("shop-web"), made("shop-web")


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def entry(key, more="prefix: shop-web-", tenant="shop", name="shop-web") -> str:
    return f"  - {{id: {name}, hash: {key.hash}, tenant: {tenant}, {more}}}\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "keys.yaml"


def write(path, *entries: str) -> None:
    """As an editor does it: another file in its place."""
    other = path.with_suffix(".new")
    other.write_text("keys:\n" + "".join(entries), encoding="utf-8")
    os.replace(other, path)


def test_a_key_says_whose_it_is(path):
    write(path, entry(OLD, "prefix: shop-web-, origins: [https://shop.example]"))
    found = Keys(path).find(OLD.text)
    assert (found.name, found.tenant, found.prefix, found.source) == ("shop-web", "shop", "shop-web-", "")
    assert found.scopes == {WRITE}
    assert found.origins == {"https://shop.example"}
    assert Keys(path).find(NEW.text) is None
    assert Keys(path).find(OLD.text + "x") is None
    assert Keys(path).find("") is None


def test_a_key_is_long_and_its_hash_is_all_that_the_file_has(path):
    assert len(OLD.text) > 50
    assert OLD.text != NEW.text
    assert OLD.hash == hash_of(OLD.text)
    write(path, entry(OLD))
    assert OLD.text.split("_")[-1] not in path.read_text("utf-8")


def test_rotation_without_a_gap(path):
    clock = Clock()
    write(path, entry(OLD))
    keys = Keys(path, clock)
    write(path, entry(OLD, "prefix: shop-web-, not_after: 2023-11-14T23:13:20Z"), entry(NEW))  # in an hour
    assert keys.find(NEW.text) is None, "not looked at again yet"
    clock.now += KEYS_LOOK_S
    assert keys.find(NEW.text)
    assert keys.find(OLD.text)
    clock.now += 3_599
    assert keys.find(OLD.text) is None
    assert keys.find(NEW.text)


def test_a_file_that_becomes_bad_or_goes_away_changes_nothing(path):
    clock = Clock()
    write(path, entry(OLD))
    keys = Keys(path, clock)
    for spoil in (lambda: write(path, "  - {id: x}\n"), path.unlink):
        spoil()
        clock.now += KEYS_LOOK_S
        assert keys.find(OLD.text)
    write(path, entry(NEW))
    clock.now += KEYS_LOOK_S
    assert keys.find(OLD.text) is None
    assert keys.find(NEW.text)


@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        ([entry(OLD, "owner: me, source: a")], "owner"),
        ([entry(OLD, "scopes: []")], "either source or prefix"),
        ([entry(OLD, "source: a, prefix: b")], "either source or prefix"),
        ([entry(OLD, "source: a, not_after: 2027-01-01T00:00:00")], "not_after"),
        ([entry(OLD, "source: a", name="'No Spaces'")], "keys.0.id"),
        ([entry(OLD, "source: a"), entry(OLD, "source: a")], "twice"),
        ([entry(OLD, "source: car-7"), entry(NEW, "prefix: car-", "bus")], "share sources"),
        ([entry(OLD, "prefix: ''"), entry(NEW, "prefix: bus-", "bus")], "share sources"),
        ([entry(OLD, "source: a"), entry(NEW, "source: a", "bus")], "share sources"),
        (["  - [\n"], "mistakes"),
        (["  - &a [*a]\n"], "mistakes"),
    ],
)
def test_a_mistake_stops_the_start(path, entries, problem):
    write(path, *entries)
    with pytest.raises(BadKeys, match=problem):
        Keys(path)


def test_a_key_in_place_of_its_hash_is_refused_and_not_repeated(path):
    write(path, entry(OLD).replace(OLD.hash, OLD.text))
    with pytest.raises(BadKeys) as caught:
        read(path)
    assert OLD.text not in str(caught.value)


def test_one_tenant_may_have_keys_for_the_same_sources(path):
    write(path, entry(OLD), entry(NEW, "source: shop-web-7"))
    assert len(read(path)) == 2
