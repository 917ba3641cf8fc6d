"""Skewed: a worker's wall clock, set wrong for as long as it lives, or from some moment on.

What: on the path of a process, this file is run by Python before anything else; with PROOF_CLOCK="-7200" `time.time` and
`time.time_ns` are two hours late, with "-7200@5" they step back by so much five seconds after the start. Why: what is
proved of skewed clocks must be proved on the process that an operator runs. It refuses to touch monotonic clocks, which no
operator and no time server can set, and does nothing without the variable.
"""

from __future__ import annotations

import os
import time


def skew(text: str) -> None:
    """Set the clocks of this process as `text` says."""
    offset, _, after = text.partition("@")
    offset_s = float(offset)
    begins = time.monotonic() + float(after or 0.0)
    true_s, true_ns, monotonic = time.time, time.time_ns, time.monotonic

    def wrong_s() -> float:
        return true_s() + (offset_s if monotonic() >= begins else 0.0)

    def wrong_ns() -> int:
        return true_ns() + (int(offset_s * 1e9) if monotonic() >= begins else 0)

    time.time, time.time_ns = wrong_s, wrong_ns


if os.environ.get("PROOF_CLOCK"):
    skew(os.environ["PROOF_CLOCK"])
