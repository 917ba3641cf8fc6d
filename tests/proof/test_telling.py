"""A worker that dies as it tells has something to tell, and a dead pager somebody who needed the fallback. Without a broker."""

from __future__ import annotations

import types
from collections.abc import Collection

import pytest

from proof.faults import Step
from proof.field import NotInTime
from proof.harm import Unexpected
from proof.nemesis import Nemesis
from proof.pages import FALLBACK, PAGER, WEBHOOK, Request
from proof.telling import telling
from tests.proof.test_nemesis import Playing, nemesis

CRASH = Step("crash", "worker-1=notify.before_outputs:3")


class Told(Playing):
    """Each service that fails has its incident at once, of one partition after the other; worker-1 tells of `tells`."""

    def __init__(self, tells: Collection[int] = (0, 2)) -> None:
        super().__init__()
        self.tells, self.dies_after = tells, 6
        self.places: dict[str, int] = {}
        self.sent: list[Request] = []
        self.deaf = self.alone = False  # nobody hears an acknowledgement; nobody is there in the pager's place
        self.load = types.SimpleNamespace(failing=self._failing)
        self.dead = False
        self.pager = types.SimpleNamespace(pagerduty=types.SimpleNamespace(stays=self.stays))

    def stays(self, fault: object) -> None:
        self.dead = fault is not None

    def _failing(self, service: str) -> object:
        self.places[service] = len(self.places) % 4
        self._request(service, "trigger", PAGER, taken=not self.dead)
        if self.dead and not self.alone:
            self._request(service, "trigger", FALLBACK)
        return types.SimpleNamespace(outcome=lambda metric: types.SimpleNamespace(observe=lambda **of: None))

    def _request(self, key: str, action: str, channel: str = PAGER, taken: bool = True) -> None:
        self.sent.append(Request(1_000, channel, key, action, f"{key}/{action}", 202 if taken else 0, taken))

    def held(self, name: str) -> set[tuple[str, int]]:
        return {("aggregate", 1)} | {("notify", partition) for partition in self.tells}

    def open(self, partitions: Collection[int]) -> list[str]:
        return [key for key, place in self.places.items() if place in partitions and key not in self.notes.asked]

    def acknowledge(self, partitions: Collection[int], most: int = 4) -> int:
        found = self.open(partitions)[:most]
        for key in found:
            self.notes.asked[key] = 1_000
            if not self.deaf:
                self._request(key, "acknowledge")
        return len(found)

    def pages(self, services: Collection[str]) -> tuple[list[object], list[str]]:
        return [types.SimpleNamespace(delivered_ms=1_000) for _ in services], []

    def requests(self) -> list[Request]:
        return self.sent


def test_a_worker_tells_of_the_partitions_of_which_it_notifies() -> None:
    assert telling({("notify", 1), ("merge", 2), ("notify", 3)}) == {1, 3}


def test_one_that_dies_as_it_tells_has_incidents_that_a_person_acknowledged_before_and_while() -> None:
    field = Told()
    assert nemesis(field).act(CRASH) is None
    assert len(field.places) >= 2
    assert len(field.notes.asked) >= 2
    assert {field.places[key] for key in field.notes.asked} <= {0, 2}


def test_an_acknowledgement_that_the_pager_never_hears_is_an_error() -> None:
    field = Told()
    field.deaf = True
    with pytest.raises(NotInTime, match="the acknowledgements at the pager"):
        nemesis(field).act(CRASH)


def test_nothing_to_acknowledge_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unexpected, match=r"of 16 services that fail worker-1 tells of fewer than 2"):
        nemesis(Told(tells=())).act(CRASH)
    monkeypatch.setattr(Told, "acknowledge", lambda *of: 0)
    with pytest.raises(Unexpected, match="nobody acknowledged anything"):
        nemesis(Told()).act(CRASH)


def test_a_dead_pager_is_one_whose_place_the_fallback_took() -> None:
    field = Told()
    found = nemesis(field)
    found.act(Step("pager_dead"))
    assert (found.injected, field.dead) == (1, False)


def test_a_fallback_that_is_told_of_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Told()
    field.alone = True
    with pytest.raises(NotInTime, match="the fallback"):
        nemesis(field).act(Step("pager_dead"))
    field = Told()
    monkeypatch.setattr("proof.pages.fallback", lambda requests, faults: ([], 7))
    with pytest.raises(Unexpected, match="nobody needed the fallback"):
        nemesis(field).act(Step("pager_dead"))


def told(at_ms: int, status: int, key: str = "i", channel: str = PAGER) -> Request:
    return Request(at_ms, channel, key, "trigger", f"{key}/trigger", status, status == 202)


def judged(*requests: Request) -> tuple[Told, Nemesis]:
    field = Told()
    field.sent, field.note = list(requests), lambda **figures: None  # type: ignore[attr-defined]
    return field, nemesis(field)


def test_one_that_is_throttled_is_left_alone_for_as_long_as_it_asked() -> None:
    judged(told(1_000, 0), told(2_000, 429), told(5_000, 202))[1]._left_alone(1_000)
    with pytest.raises(Unexpected, match="asked again after 2999 ms, 3 s were asked for"):
        judged(told(2_000, 429), told(2_500, 202, key="other"), told(4_999, 202))[1]._left_alone(1_000)
    for never in ((told(2_000, 429), told(9_000, 202, key="other")), (told(2_000, 503), told(9_000, 202))):
        with pytest.raises(NotInTime, match="what was throttled, again"):
            judged(*never)[1]._left_alone(1_000)


def test_the_healthy_channel_is_told_when_the_sick_one_is() -> None:
    sick = [told(1_000, 0), told(9_000, 202)]
    judged(*sick, told(3_900, 200, channel=WEBHOOK))[1]._healthy(1_000)
    with pytest.raises(Unexpected, match=r"the webhook was told 8\.1 s after"):
        judged(*sick, told(9_100, 200, channel=WEBHOOK))[1]._healthy(1_000)
    with pytest.raises(NotInTime, match="the webhook told of the same incidents"):
        judged(*sick, told(1_100, 200, key="other", channel=WEBHOOK))[1]._healthy(1_000)


@pytest.mark.parametrize(
    ("log", "says"),
    [
        ([told(1_000, 202), told(1_200, 202, key="other")], ""),
        ([told(1_000, 202), told(1_200, 202, key="second")], "2 incidents, 2 requests"),
        ([told(1_000, 202, key="other")], "0 incidents"),
        ([told(at_ms, 0) for at_ms in range(1_000, 1_004)], "1 incidents, 4 requests"),
        ([told(1_000, 202), told(1_200, 429, key="other")], "had to throttle 1"),
    ],
)
def test_a_zone_that_fails_is_one_call(log: list[Request], says: str) -> None:
    field, found = judged(*log)
    groups = {"i": "zone", "second": "zone", "other": "another"}
    subjects = {key: {("slo", (("host", str(n)), ("service", of))) for n in range(3)} for key, of in groups.items()}
    field.watch = types.SimpleNamespace(log=types.SimpleNamespace(subjects=subjects.__getitem__))  # type: ignore[attr-defined]
    if not says:
        found._one_call("zone", 1_000)
    else:
        with pytest.raises(Unexpected, match=says):
            found._one_call("zone", 1_000)
