"""The platform's world: the real steps, the telemetry of a scenario, a pager, a webhook, and a person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from urllib.parse import urlsplit

from alerts.route import Routes
from schemas import codec
from schemas.records import Command, IncidentTransition
from schemas.telemetry import TelemetryDecoder
from sinks.channels import Channel, Channels
from sinks.fakes.pagerduty import PagerDutyFake
from sinks.fakes.receiver import Fault as Misbehaviour
from sinks.fakes.receiver import Receiver, Reply
from sinks.fakes.webhook import WebhookFake
from sinks.lane import Policy
from sinks.pagerduty import PagerDuty
from sinks.port import Request
from sinks.webhook import Webhook
from streams import topics
from streams.aggregate import AggregateStep
from streams.merge import MergeStep
from streams.notify import NotifyStep
from streams.settings import Settings
from streams.step import Step
from tests.simulation import scenario
from tests.simulation.faults import Fault
from tests.simulation.worker import Worker
from tests.simulation.world import World

SETTINGS = Settings(partitions=scenario.PARTITIONS, fingerprint=True, future_ms=3_000_000)
ROUTES = Routes.plain("pager", "hook")


class PlatformWorld(World):
    """One run of a scenario; `number` says which."""

    stages = MappingProxyType({"aggregate": topics.TELEMETRY, "merge": topics.PARTIALS, "notify": topics.ALERTS})
    passed = (topics.COMMANDS,)
    partitions = scenario.PARTITIONS
    ends_s = scenario.ENDS_S + 2.7

    def __init__(self, seed: int, faults: Sequence[Fault], number: int, workers: int = 2) -> None:
        super().__init__(seed, faults, workers)
        self.number = number
        self.pager, self.hook = PagerDutyFake(), WebhookFake()
        policy = Policy(breaker_open_ms=1_000, timeout_ms=2_000)
        self.channels = Channels(
            {
                "pager": Channel("pager", "pagerduty", policy, PagerDuty("k" * 32, "http://pager" + self.pager.path)),
                "hook": Channel("hook", "webhook", policy, Webhook("hook", "http://hook" + self.hook.path)),
            }
        )
        self.sinks = self.channels.sinks
        self._asked: set[str] = set()

    def steps(self, worker: Worker) -> list[tuple[str, str, Callable[[int], Step]]]:
        """As `streams.app` makes them."""

        def aggregate(partition: int) -> AggregateStep:
            return AggregateStep(
                partition,
                SETTINGS,
                scenario.SELECTION,
                scenario.CONFIG.hash,
                lambda a: TelemetryDecoder(a.resolve, key=b"the same in each run"),
            )

        def merge(partition: int) -> MergeStep:
            return MergeStep(partition, SETTINGS, scenario.CONFIG, ROUTES)

        def notify(partition: int) -> NotifyStep:
            return NotifyStep(partition, SETTINGS, ROUTES, self.channels, worker.delivery)

        return [(*each, make) for each, make in zip(self.stages.items(), (aggregate, merge, notify), strict=True)]

    def begin(self) -> None:
        for fake in (self.pager, self.hook):
            fake.clock_ms = lambda: self.now_ms
        for sent in (*scenario.telemetry(self.number), *scenario.markers()):
            self.at(sent.at_s, self.broker.append, topics.TELEMETRY, sent.partition, None, sent.value)
        self.at(scenario.OUTAGE_S[0] + 1.5, self._acknowledge)

    def end(self) -> None:
        self.pager.stop()
        self.hook.stop()

    def owes(self, step: Step) -> bool:
        return isinstance(step, NotifyStep) and len(step._outbox) > 0

    def finish(self, worker: Worker) -> None:
        """Its books: nothing that was accepted is unaccounted for."""
        for stage in worker.stages:
            for partition, held in stage.held.items():
                if unaccounted := held.step.unaccounted:
                    self.findings.append(f"{worker.name}: {unaccounted} unaccounted in {stage.name}[{partition}]")

    def outage(self, fault: Fault) -> None:
        fake = (self.pager, self.hook)[fault.worker % 2]
        fake.stays(Misbehaviour(503 if fault.size < 0.5 else 0, taking=int(fault.size * 10) % 2 == 0))
        self.at(self.clock.s + 1.5 * fault.size, fake.stays, None)

    def receive(self, request: Request) -> Reply | None:
        """The network: a request reaches the fake that lives at its address."""
        parts = urlsplit(request.url)
        fake: Receiver = self.pager if parts.hostname == "pager" else self.hook
        self.note("request", request.url, request.body)
        return fake.receive(parts.path, request.headers, request.body)[0]

    def _acknowledge(self) -> None:
        """A person acknowledges each open incident, once; people look again."""
        for p in range(self.partitions):
            for record in self.broker.records(topics.INCIDENTS, p):
                found = codec.decode(record.value)
                if isinstance(found, IncidentTransition) and found.incident_id not in self._asked:
                    self._asked.add(found.incident_id)
                    name = f"ack-{found.incident_id}"
                    command = Command(name, "acknowledge", found.incident_id, "ada", self.now_ms, {})
                    self.broker.append(topics.COMMANDS, p, name.encode(), codec.encode(command))
        if not self._asked and self.clock.s < scenario.ENDS_S:
            self.soon(0.3, 0.3, self._acknowledge)
