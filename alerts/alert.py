"""The life of an alert: states and transitions as one table, and the identity of each.

Theory. One alert stands for one SLO objective and group; its severity rises and falls while it fires, so one burn
wakes a person once. Three states suffice:

* inactive: nothing burns. Where every group begins.
* firing: at least one rule of the policy is latched. A rule latches when it is exceeded and unlatches only when a
  window is below its factor AND the short window was measured, by all source partitions that feed the group; severity is
  the highest of the latched rules.
* resolved: the burn ended, and this was measured. It is left by the next burn, or settles to inactive.

Missing data therefore never resolves: no trigger that it causes leads out of firing (`freeze` and `thaw` stay).
Each raise begins a new episode, so that an alert id names one burn. What is not in the table is an error.
It refuses to know rules, windows and numbers; those decide which trigger happens, this decides what it means.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Mapping


class State(enum.IntEnum):
    """State of an alert; names in lower case are the words of the record."""

    INACTIVE = 0
    FIRING = 1
    RESOLVED = 2

    @property
    def word(self) -> str:
        """As written in AlertTransition.state."""
        return self.name.lower()


class Trigger(enum.Enum):
    """What may happen to an alert."""

    RAISE = "a rule is exceeded"
    RISE = "severity rises"
    FALL = "severity falls"
    FREEZE = "the group is unmeasured"
    THAW = "the group is measured again"
    CLEAR = "no rule is latched, and that was measured"
    SETTLE = "nothing burns since it resolved"


@dataclasses.dataclass(frozen=True, slots=True)
class Arrow:
    """Where a trigger leads, and whether the step is told as an AlertTransition record."""

    to: State
    recorded: bool


TRANSITIONS: Mapping[State, Mapping[Trigger, Arrow]] = {
    State.INACTIVE: {
        Trigger.RAISE: Arrow(State.FIRING, True),
    },
    State.FIRING: {
        Trigger.RISE: Arrow(State.FIRING, True),
        Trigger.FALL: Arrow(State.FIRING, True),
        Trigger.FREEZE: Arrow(State.FIRING, True),
        Trigger.THAW: Arrow(State.FIRING, True),
        Trigger.CLEAR: Arrow(State.RESOLVED, True),
    },
    State.RESOLVED: {
        Trigger.RAISE: Arrow(State.FIRING, True),
        Trigger.SETTLE: Arrow(State.INACTIVE, False),
    },
}


class NoSuchTransition(Exception):
    """The trigger is not possible in this state."""

    def __init__(self, state: State, trigger: Trigger) -> None:
        super().__init__(f"{trigger.name} is not possible in state {state.name}")


def step(state: State, trigger: Trigger) -> Arrow:
    """The arrow of the table. Raises NoSuchTransition when there is none."""
    arrow = TRANSITIONS[state].get(trigger)
    if arrow is None:
        raise NoSuchTransition(state, trigger)
    return arrow


def trigger_of(state: State, before: int, now: int, frozen_before: bool, frozen: bool) -> Trigger | None:
    """Which trigger a change of severity (by rank, 0 = none) or of measurement is; None when nothing happened."""
    if state is not State.FIRING:
        if now > 0:
            return Trigger.RAISE
        return Trigger.SETTLE if state is State.RESOLVED else None
    if now != before:
        return Trigger.CLEAR if now == 0 else (Trigger.RISE if now > before else Trigger.FALL)
    if frozen != frozen_before:
        return Trigger.FREEZE if frozen else Trigger.THAW
    return None


def alert_id(group: int, episode: int) -> str:
    """Id of one burn of one group: SLO group id (uint64, a blake2b of SLO, objective and labels) and episode, in hex."""
    return f"{group:016x}-{episode:x}"


def transition_id(group: int, number: int) -> str:
    """Id of a group's n-th transition: blake2b (16 bytes, hex) of group id and number; the same in every replay."""
    return hashlib.blake2b(f"{group:016x}\0{number}".encode(), digest_size=16).hexdigest()
