"""Field: a page whose reason is read a moment later is not called unasked; one that has none is."""

from __future__ import annotations

from proof.field import Field


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
