"""Crash: the steps of a request at which a gateway can be told to end.

What: TOCSIN_GATEWAY_CRASH_AT=after_ack:3, see `access.crash`. Why: between Kafka's word and the client's answer lies less than
a millisecond, and only a gateway that dies there shows that a repeat is counted once. It refuses other steps.
"""

from __future__ import annotations

from access import crash
from gateway.settings import PREFIX

VARIABLE = f"{PREFIX}CRASH_AT"
#: `before_ack`: handed to the producer, nobody knows whether Kafka has it; `after_ack`: Kafka has it, the client does not know.
STEPS = ("before_ack", "after_ack")


def points(wanted: str | None = None) -> crash.Reach:
    """What a request calls with the name of each step that it comes by. Raises BadCrashPoint."""
    return crash.points(VARIABLE, STEPS, wanted=wanted)
