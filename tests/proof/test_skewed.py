"""A process with the directory on its path has the clock that the variable says, and the right one without it."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from demo.workers import ROOT

TELL = "import time; a = time.time(); b = time.time_ns() / 1e9; time.sleep({wait}); print(a, b, time.time())"
TOLERANCE_S = 30.0


@pytest.mark.parametrize(("clock", "at_once", "later"), [("", 0, 0), ("-7200", -7_200, -7_200), ("7200@0.3", 0, 7_200)])
def test_the_wall_clock_is_as_wrong_as_it_is_told_to_be(clock: str, at_once: int, later: int) -> None:
    own = {**os.environ, "PYTHONPATH": str(ROOT / "proof" / "skewed"), "PROOF_CLOCK": clock}
    done = subprocess.run(
        [sys.executable, "-c", TELL.format(wait=0.4)], env=own, capture_output=True, text=True, check=True
    )
    first, nanoseconds, last = (float(word) - time.time() for word in done.stdout.split())
    assert abs(first - at_once) < TOLERANCE_S
    assert abs(nanoseconds - at_once) < TOLERANCE_S
    assert abs(last - later) < TOLERANCE_S
