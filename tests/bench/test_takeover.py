"""When windows are due, so that a kill falls right before.

What: arithmetic of panes, lateness and grace. Why: a kill at another phase would measure the wait for a window. It
refuses to kill anything.
"""

from __future__ import annotations

import pytest

from bench.takeover import BEFORE_S, due_s, session_timeout_s


@pytest.mark.parametrize("now_s", [0.0, 6.4, 6.5, 6.6, 7.0, 1_800_000_003.25])
def test_windows_are_due_a_pane_s_end_and_lateness_and_grace_later(now_s):
    due = due_s(now_s)
    assert (due - 7.0) % 10.0 == pytest.approx(0.0)
    assert BEFORE_S <= due - now_s <= 10.0 + BEFORE_S


def test_the_session_timeout_is_the_product_s_own():
    assert session_timeout_s() > 0
