"""Telling: what is done to those who tell people: a worker that dies as it tells, channels that fail, many pages at once.

What: one function an action, and what a worker is given to tell while it dies. Why: a page or an acknowledgement is lost
most easily between the request and its record. It refuses a row in which nobody had anything to tell: an incident that
was acknowledged, or one that needed the fallback, must have been there.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable

from proof import pages
from proof.faults import Step
from proof.harm import Harm, Unexpected
from proof.intent import burst
from sinks.fakes.receiver import Fault

TOLD_S = 1.0  # between two services that fail, while somebody is to die as he tells of one
OPEN = 2  # incidents at least: one is acknowledged as the worker dies, another in its next life
TRIES = 16  # services that fail until so many are told of by that worker
PAGER_FAULTS = 5
SLACK_S = pages.FALLBACK_SLACK_S + 0.5  # after the fallback was told, until the pager's own time is over


def telling(held: Iterable[tuple[str, int]]) -> set[int]:
    """Partitions of which a worker that holds these (stage, partition) tells people."""
    return {partition for stage, partition in held if stage == "notify"}


class Telling(Harm):
    """Faults of channels, and of those who use them."""

    def _fails(self) -> str:
        """A service begins to fail, by its name."""
        service = f"told-{self._boot()}"
        burst(self.field.load.failing(service), 100, 60)
        return service

    def _opened(self, name: str) -> None:
        """Services fail, one after the other, until the pager has enough incidents of which that worker tells."""
        for _ in range(TRIES):
            if len(self.field.open(telling(self.field.held(name)))) >= OPEN:
                return
            self._paged([self._fails()])
        raise Unexpected(f"{Unexpected.__doc__}: of {TRIES} services that fail {name} tells of fewer than {OPEN}")

    def _paged(self, services: Collection[str]) -> None:
        """Wait until each of those services has its page."""

        def told() -> bool:
            found, _ = self.field.pages(services)
            return sum(page.delivered_ms is not None for page in found) >= len(services)

        self.field.until(f"{len(services)} pages", told)

    def _keeps_telling(self, partitions: Collection[int]) -> None:
        """What is open there is acknowledged by a person; when nothing is, another service fails."""
        if partitions and not self.field.acknowledge(partitions):
            self._fails()
            self.field.during(TOLD_S)

    def _heard(self, before: Collection[str]) -> None:
        """Whatever was acknowledged since then is so at the pager, and something was."""
        asked = {key: at_ms for key, at_ms in self.field.notes.asked.items() if key not in before}
        if not asked:
            raise Unexpected(f"{Unexpected.__doc__}: nobody acknowledged anything while a worker died")
        self.field.until(
            "the acknowledgements at the pager", lambda: not pages.acknowledged(self.field.requests(), asked)
        )

    def _do_pager(self, step: Step) -> int:
        """Hang up, take it and say 500, throttle, take it and hang up, be unavailable; the webhook is well meanwhile."""
        pager = self.field.pager.pagerduty
        before = sum(not 200 <= arrival.status < 300 for arrival in pager.log())
        pager.fails(
            Fault(0),
            Fault(500, taking=True),
            Fault(429, headers={"retry-after": "1"}),
            Fault(0, taking=True),
            Fault(503),
        )

        def met() -> int:
            return sum(not 200 <= arrival.status < 300 for arrival in pager.log()) - before

        self.field.until("all five faults of the pager", lambda: met() >= PAGER_FAULTS)
        return PAGER_FAULTS

    def _do_pager_dead(self, step: Step) -> int:
        """It takes nothing for a while, and somebody has to be told: longer than the fallback has time."""
        field, ends = self.field, time.monotonic() + step.seconds
        _, needed = pages.fallback(field.requests(), field.notes.faults)
        field.pager.pagerduty.stays(Fault(0))
        told = self._told_by_fallback()
        self._fails()
        field.until("the fallback", lambda: self._told_by_fallback() > told)
        field.during(max(SLACK_S, ends - time.monotonic()))
        field.pager.pagerduty.stays(None)
        if pages.fallback(field.requests(), field.notes.faults)[1] <= needed:
            raise Unexpected(f"{Unexpected.__doc__}: the pager was dead, and nobody needed the fallback")
        return 1

    def _told_by_fallback(self) -> int:
        return sum(one.taken and one.channel == pages.FALLBACK for one in self.field.requests())

    def _do_storm(self, step: Step) -> int:
        """So many services begin to fail in the same moment; each has its page."""
        services = [f"storm-{self.rng.getrandbits(32):08x}" for _ in range(step.count)]
        for client in [self.field.load.failing(service) for service in services]:
            burst(client, 100, 60)
        self._recover()
        self._paged(services)
        return len(services)
