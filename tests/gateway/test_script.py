"""The page's script: its size is a promise."""

from __future__ import annotations

from gateway.script import Script


def test_it_is_below_three_kilobytes() -> None:
    assert len(Script().body) < 3_072
