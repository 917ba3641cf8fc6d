"""Ten thousand hosts of one service fail in the same moment: one incident, told once, that ends with the last of them."""

from __future__ import annotations

from alerts.limits import Limits
from alerts.notify import Notifier
from alerts.route import Routes
from schemas.records import AlertTransition, IncidentTransition, NotificationRecord, SloGroup
from tests.alerts.simulate import START_MS, Simulation, config_of, rows, slo_text, times

HOSTS = 10_000
SECOND, MINUTE = 1_000, 60_000
CONFIG = config_of(slo_text(target="0.99", period="1h", group_by="[host]"))
GROUPS = [SloGroup("web", 0, {"host": f"host-{number}"}) for number in range(HOSTS)]


class Storm:
    """All hosts in one evaluator, and the notifier behind it."""

    def __init__(self) -> None:
        self.simulation = Simulation(CONFIG)
        self.notifier = Notifier(Routes.plain("pager"))
        self.time_ms = START_MS
        self.transitions: list[AlertTransition] = []
        self.told: list[NotificationRecord] = []
        self.recorded: list[IncidentTransition] = []

    def pass_by(self, until_ms: int, ill: range) -> None:
        """A hundred measurements a host and ten seconds; of the ill, all are bad."""
        while self.time_ms < until_ms:
            self.time_ms += 10 * SECOND
            entries = [(g, self.time_ms - 1, 0.0 if n in ill else 100.0, 100.0) for n, g in enumerate(GROUPS)]
            found = self.simulation.step(rows(*entries), times({0: self.time_ms}, self.time_ms + 50))
            for transition in (one for one in found if isinstance(one, AlertTransition)):
                self.transitions.append(transition)
                for effect in self.notifier.apply(transition, self.time_ms):
                    (self.told if isinstance(effect, NotificationRecord) else self.recorded).append(effect)

    def burning(self) -> int:
        """Hosts whose newest transition says that they burn."""
        newest = {transition.alert_id: transition.severity for transition in self.transitions}
        return sum(severity != "none" for severity in newest.values())


def test_ten_thousand_hosts_are_one_incident_that_ends_with_the_last() -> None:
    storm = Storm()
    storm.pass_by(START_MS + MINUTE // 2, range(0))
    storm.pass_by(storm.time_ms + MINUTE // 2, range(HOSTS))
    assert storm.burning() == HOSTS
    assert [(record.action, record.severity) for record in storm.told] == [("trigger", "page")]
    (incident,) = storm.notifier.open.values()
    assert len(incident.burning) + incident.beyond == HOSTS
    assert incident.left_out == 0

    storm.pass_by(storm.time_ms + MINUTE, range(HOSTS - 100, HOSTS))
    assert storm.burning() == 100
    assert len(storm.told) == 1, "others still burn"
    assert len(incident.burning) + incident.beyond == 100

    storm.pass_by(storm.time_ms + MINUTE, range(0))
    assert storm.burning() == 0
    assert [record.action for record in storm.told] == ["trigger", "resolve"]
    assert storm.notifier.open == {}
    assert len(storm.recorded) <= 3 * Limits().alerts_in_incident, "no record for each of ten thousand"
