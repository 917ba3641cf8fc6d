"""What was put aside as too late hides no loss."""

from __future__ import annotations

from proof.judgement import late_checks


def test_exactly_what_was_sent_too_late_on_purpose_may_be_too_late() -> None:
    assert late_checks(0, 0) == late_checks(120, 120) == []
    assert late_checks(121, 120) == ["121 measurements were put aside as too late, and 120 were sent so on purpose"]
    assert len(late_checks(119, 120)) == 1
