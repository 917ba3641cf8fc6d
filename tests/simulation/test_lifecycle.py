"""The life of an alert and of its incident under any traffic, silence, restart and repetition: a state machine.

One evaluator and notifier are restarted and told things twice; their twins are not. Both must say the same, in bytes.
The outbox has such a machine too, against a receiver that misbehaves: tests/sinks/misbehaving.py.
"""

from __future__ import annotations

import collections
import itertools

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerts.evaluate import Evaluator
from alerts.notify import Notifier
from alerts.route import Routes
from schemas import codec
from schemas.records import AlertTransition, Command, IncidentTransition, NotificationRecord
from tests.alerts.simulate import START_MS, Simulation, config_of, slo_text

CONFIG = config_of(slo_text(target="0.99", period="1h"))
ROUTES = Routes.plain("hook")
#: Which state may follow which in the records of one alert.
FOLLOWS = {"": {"firing"}, "firing": {"firing", "resolved"}, "resolved": set()}


class Life(RuleBasedStateMachine):
    """Traffic, silence and people in any order."""

    @initialize()
    def begin(self) -> None:
        self.sim, self.twin = Simulation(CONFIG), Simulation(CONFIG)
        self.notifier, self.told_once = Notifier(ROUTES), Notifier(ROUTES)
        self.time_ms, self.idle_ms, self.commands = START_MS, 0, 0
        self.transitions: list[AlertTransition] = []
        self.incidents: list[str] = []
        self.told: dict[str, list[str]] = collections.defaultdict(list)

    @rule(
        ratio=st.sampled_from([0.0, 0.0, 0.02, 0.2, 1.0]),
        step_ms=st.sampled_from([2_000, 10_000, 60_000]),
        total=st.sampled_from([1.0, 40.0, 400.0]),
    )
    def traffic(self, ratio: float, step_ms: int, total: float) -> None:
        self.time_ms += step_ms
        self.idle_ms = 0
        good = total * (1.0 - ratio)
        self.take(*(each.at(self.time_ms, good, total) for each in (self.sim, self.twin)))

    @rule(step_ms=st.sampled_from([5_000, 60_000, 600_000]))
    def silence(self, step_ms: int) -> None:
        self.idle_ms += step_ms
        found = self.take(*(each.silence(self.time_ms, self.idle_ms) for each in (self.sim, self.twin)))
        assert all(transition.state != "resolved" for transition in found), "silence is no recovery"

    @rule()
    def restart(self) -> None:
        fresh = Evaluator(CONFIG, partition=0)
        fresh.restore(self.sim.evaluator.snapshot())
        assert fresh.snapshot() == self.sim.evaluator.snapshot()
        self.sim.evaluator = fresh
        notifier = Notifier(ROUTES)
        notifier.restore(self.notifier.snapshot())
        self.notifier = notifier

    @precondition(lambda self: self.sim.offset >= 0)
    @rule()
    def repeat(self) -> None:
        """The last record comes again, with other numbers even: it is at the fence."""
        self.sim.offset -= 1
        assert self.sim.at(self.time_ms, 0.0, 1_000.0) == []

    @precondition(lambda self: self.incidents)
    @rule(kind=st.sampled_from(["acknowledge", "resolve"]), pick=st.integers(0, 5))
    def person(self, kind: str, pick: int) -> None:
        self.commands += 1
        target = self.incidents[pick % len(self.incidents)]
        self.tell(Command(f"c{self.commands}", kind, target, "ada", self.time_ms, {}))

    def take(self, mine: list, twins: list) -> list[AlertTransition]:
        assert [codec.encode(output) for output in mine] == [codec.encode(output) for output in twins]
        found = [output for output in mine if isinstance(output, AlertTransition)]
        self.transitions += found
        for transition in found:
            self.tell(transition)
        return found

    def tell(self, item: AlertTransition | Command) -> None:
        effects = list(self.notifier.apply(item, self.time_ms))
        assert effects == list(self.told_once.apply(item, self.time_ms))
        assert list(self.notifier.apply(item, self.time_ms + 1)) == [], "a repeat has no effect"
        for effect in effects:
            if isinstance(effect, IncidentTransition) and effect.incident_id not in self.incidents:
                self.incidents.append(effect.incident_id)
            if isinstance(effect, NotificationRecord):
                self.told[effect.incident_id].append(effect.action)

    @invariant()
    def alerts_walk_through_their_table(self) -> None:
        by_alert: dict[str, list[AlertTransition]] = collections.defaultdict(list)
        for transition in getattr(self, "transitions", ()):
            by_alert[transition.alert_id].append(transition)
        for steps in by_alert.values():
            states = ["", *(step.state for step in steps)]
            assert all(after in FOLLOWS[before] for before, after in itertools.pairwise(states))
        numbers = [transition.number for transition in getattr(self, "transitions", ())]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def people_are_told_in_order(self) -> None:
        for actions in getattr(self, "told", {}).values():
            assert actions[0] == "trigger"
            assert actions.count("trigger") == 1
            assert "resolve" not in actions[:-1]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


def test_the_machine_reaches_pages_recoveries_and_people() -> None:
    """What the machine does by chance, once on purpose: else its invariants might hold of nothing."""
    life = Life()
    life.begin()
    life.traffic(0.0, 10_000, 400.0)
    for _ in range(3):
        life.traffic(1.0, 10_000, 400.0)
    life.person("acknowledge", 0)
    life.restart()
    life.repeat()
    life.silence(600_000)
    for _ in range(60):
        life.traffic(0.0, 10_000, 400.0)
    assert {"firing", "resolved"} == {transition.state for transition in life.transitions}
    (actions,) = life.told.values()
    assert (actions[0], actions[-1]) == ("trigger", "resolve")
    assert "acknowledge" in actions
    life.alerts_walk_through_their_table()
    life.people_are_told_in_order()
