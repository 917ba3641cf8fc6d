"""Telling: what is done to those who tell people: a worker that dies as it tells, channels that fail, many pages at once.

What: one function an action, and what a worker is given to tell while it dies. Why: a page or an acknowledgement is lost
most easily between the request and its record. It refuses a row in which nobody had anything to tell: an incident that
was acknowledged, or one that needed the fallback, must have been there.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Collection, Iterable

from proof import pages
from proof.faults import Step
from proof.field import PAGER_TIMEOUT_S
from proof.harm import Harm, Unexpected
from proof.intent import burst
from sinks.fakes.receiver import Fault

TOLD_S = 1.0  # between two services that fail, while somebody is to die as he tells of one
OPEN = 2  # incidents at least: one is acknowledged as the worker dies, another in its next life
TRIES = 16  # services that fail until so many are told of by that worker
SERVICES = 3  # that fail while the pager is sick
HOST_METRIC, BAD_A_HOST = "host.request", 25
REQUESTS_A_ZONE = 3  # to the pager: one, and again if the answer to it was lost
RETRY_AFTER_S, THROTTLED = 3, 429
HEALTHY_S = 3.0  # a channel that is well is told so long after another at most
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

    def _paged(self, services: Collection[str], groups: int = 0) -> None:
        """Wait until each of those services, or all its groups that burn, have their page."""
        wanted = groups or len(services)

        def told() -> bool:
            found, _ = self.field.pages(services)
            return sum(page.delivered_ms is not None for page in found) >= wanted

        self.field.until(f"{wanted} pages", told)

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
        """Take it and answer too late, hang up, take it and say 500, throttle, take it and hang up, be unavailable; then the
        pager has been left alone for as long as it asked, and the webhook knew of each incident as soon as ever."""
        pager, begun_ms = self.field.pager.pagerduty, time.time_ns() // 1_000_000
        faults = (
            Fault(504, taking=True, delay_s=PAGER_TIMEOUT_S + 1.0),
            Fault(0),
            Fault(500, taking=True),
            Fault(429, headers={"retry-after": str(RETRY_AFTER_S)}),
            Fault(0, taking=True),
            Fault(503),
        )
        before = sum(arrival.status not in pages.TAKEN for arrival in pager.log())
        pager.fails(*faults)
        services = [self._fails() for _ in range(SERVICES)]

        def met() -> int:
            return sum(arrival.status not in pages.TAKEN for arrival in pager.log()) - before

        self.field.until(f"all {len(faults)} faults of the pager", lambda: met() >= len(faults))
        self._left_alone(begun_ms)
        self._paged(services)
        self._healthy(begun_ms)
        return len(faults)

    def _left_alone(self, since_ms: int) -> None:
        """After 429 the same request comes again, and not before the time that it named."""

        def waits() -> list[int]:
            found = []
            for told in pages.grouped(self._since(pages.PAGER, since_ms), "name").values():
                for before, one in itertools.pairwise(told):
                    found += [one.at_ms - before.at_ms] if before.status == THROTTLED else []
            return found

        self.field.until("what was throttled, again", lambda: bool(waits()))
        if min(waits()) < RETRY_AFTER_S * 1000:
            raise Unexpected(
                f"{Unexpected.__doc__}: asked again after {min(waits())} ms, {RETRY_AFTER_S} s were asked for"
            )

    def _healthy(self, since_ms: int) -> None:
        """The channel that is well is told of each incident when the other is, or soon after."""
        begun = pages.grouped(self._since(pages.PAGER, since_ms), "key")
        opened = {key: told[0].at_ms for (key,), told in begun.items() if told[0].action == "trigger"}

        def told() -> dict[tuple[str, ...], list[pages.Request]]:
            return pages.grouped(self._since(pages.WEBHOOK, since_ms), "key")

        self.field.until("the webhook told of the same incidents", lambda: {(key,) for key in opened} <= told().keys())
        late_s = max((told()[key,][0].at_ms - at_ms) / 1000 for key, at_ms in opened.items())
        self.field.note(webhook_behind_a_sick_pager_s=max(0.0, round(late_s, 2)))
        if late_s > HEALTHY_S:
            raise Unexpected(f"{Unexpected.__doc__}: the webhook was told {late_s:.1f} s after a pager that is sick")

    def _since(self, channel: str, since_ms: int) -> list[pages.Request]:
        return [one for one in self.field.requests() if one.channel == channel and one.at_ms >= since_ms]

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

    def _do_hosts(self, step: Step) -> int:
        """So many hosts of one service fail at once, each a group that pages by itself: one incident, and one person called."""
        field, service, begun_ms = self.field, f"zone-{self._boot()}", time.time_ns() // 1_000_000
        client, now_ms = field.load.failing(service), time.time_ns() // 1_000_000
        for host in range(step.count):
            requests = client.outcome(HOST_METRIC, host=f"h{host}")
            for _ in range(BAD_A_HOST):
                requests.observe(good=False, value=1.0, time_ms=now_ms)
        self._recover()
        self._paged([service], step.count)
        self._one_call(service, begun_ms)
        return step.count

    def _one_call(self, service: str, since_ms: int) -> None:
        """All that burns of a service is one incident, told once, and the pager has not had more than it takes in a minute."""
        subjects = self.field.watch.log.subjects
        told = self._since(pages.PAGER, since_ms)
        keys = {one.key for one in told}
        mine = {key for key in keys if any(dict(group).get("service") == service for _, group in subjects(key))}
        requests = sum(one.key in mine for one in told)
        self.field.note(requests_for_a_zone=requests)
        if len(mine) != 1 or requests > REQUESTS_A_ZONE:
            raise Unexpected(
                f"{Unexpected.__doc__}: hosts of one service are {len(mine)} incidents, {requests} requests"
            )
        throttled = sum(one.status == THROTTLED for one in told)
        if throttled:
            raise Unexpected(f"{Unexpected.__doc__}: the pager had to throttle {throttled} requests")
