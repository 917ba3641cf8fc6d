"""What was acknowledged is known, and the oldest is forgotten."""

from __future__ import annotations

from gateway.recent import Recent


def test_the_oldest_is_forgotten():
    recent = Recent(2)
    for sequence in (1, 2, 1, 3):
        recent.add(("t", "s", "b", sequence))
    assert [("t", "s", "b", sequence) in recent for sequence in (1, 2, 3)] == [False, True, True]
    assert ("other", "s", "b", 3) not in recent


def test_a_record_without_a_sequence_is_never_a_repeat():
    recent = Recent()
    recent.add(("t", "s", "b", -1))
    assert ("t", "s", "b", -1) not in recent
