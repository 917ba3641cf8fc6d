"""Field: a page whose reason is read a moment later is not called unasked; one that has none is."""

from __future__ import annotations

from proof.field import Field
from proof.payloads import FLOOD, HOSTILE


class Played(Field):
    """Whose pages are told look by look; time passes by looks."""

    def __init__(self, *looks: list[str]) -> None:
        self.looks = list(looks)
        self.patience_s = 0.05

    def pages(self, services=None):
        return [], self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def tend(self):
        """Nothing to look after."""


def test_a_reason_may_come_after_its_page():
    assert Played(["early"], ["early"], []).unasked() == set()


def test_what_never_has_a_reason_is_told(monkeypatch):
    monkeypatch.setattr("proof.field.REASONS_MAX_S", 0.01)
    assert Played(["early", "never"], ["never"]).unasked() == {"never"}
    assert Played(["never", "known"]).unasked({"known"}) == {"never"}


class Apart(Field):
    """Of whose strangers so many were counted, in so many series."""

    def __init__(self, flooded: int, hostile: int, found: dict[str, tuple[int, int]]) -> None:
        self.flooded, self.hostile, self.found_apart = flooded, hostile, found

    def apart(self, metric):
        return self.found_apart.get(metric, (0, 0))


def test_strangers_are_counted_once_and_a_flood_in_few_series():
    found = {FLOOD: (50, 9), HOSTILE: (10, 7)}
    assert Apart(50, 10, found).strangers() == []
    assert Apart(0, 0, {}).strangers() == []
    assert "of 51 measurements of the flood 50" in Apart(51, 10, found).strangers()[0]
    assert "in 50 series" in Apart(50, 10, found | {FLOOD: (50, 50)}).strangers()[0]
    assert "of 9 hostile measurements that are good 10" in Apart(50, 9, found).strangers()[0]
