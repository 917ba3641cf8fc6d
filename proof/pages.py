"""Pages: what the far ends of the channels logged over a whole run, held against properties P3 to P7 of reliability.

What: each request that reached a stand-in, as plain values, and one function a property; P1 and P2 (none missing, none
unexpected) are `demo.pages`. Why: whether somebody was woken twice, in the wrong order, or not at all while the pager was
dead, is known where the request arrived and nowhere else. It refuses to look into the platform, and product code: the
back-off that bounds repeats is written here from its documentation.

    P3  trigger, then acknowledgement, then resolution; nothing but repeats after an end; one incident a key; ends as expected
    P4  how late: from the moment at which the burn can be known to the page
    P5  a pager that takes nothing: the fallback channel has it in time
    P6  what a person acknowledged is acknowledged at the pager, whatever was killed in between
    P7  no more requests than the back-off allows; one that was taken is sent again only after no clear answer, or a fault
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from demo.ideal import Life
from sinks.fakes.receiver import Arrival

PAGER, WEBHOOK, FALLBACK = "pagerduty", "webhook", "backup"
SLACK_MS = 15_000  # a pane, and the time to page
FALLBACK_AFTER_S, FALLBACK_SLACK_S = 2.0, 2.0
SETTLES_MS = 5_000  # after a fault, until nothing of it is under way: the session of a worker that died, and more
BASE_S, MOST_S = 1.0, 60.0  # back-off: from half of base, doubled each time
LATE_MAX_S = 20.0
LATE_SHARE = 0.05  # of the time for which all brokers were away, besides
TAKEN = range(200, 300)
#: Faults that touch neither workers nor brokers: nothing that was taken may be sent again because of them.
HARMLESS = frozenset(
    {
        "pager",
        "pager_dead",
        "again",
        "stale",
        "poison",
        "hostile",
        "ports",
        "storm",
        "hosts",
        "slow_link",
        "tunnel",
        "oversized",
        "slowloris",
    }
)

Subject = tuple[str, tuple[tuple[str, str], ...]]  # SLO and group
Spans = Sequence[tuple[int, int]]  # (from, to) in ms since epoch


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """One request as it came. `name`: of the notification, the same in each repeat; `status`: what it was answered, 0 when
    it was not; `taken`: whether it had an effect."""

    at_ms: int
    channel: str
    key: str
    action: str  # trigger | acknowledge | resolve
    name: str
    status: int
    taken: bool


@dataclasses.dataclass(slots=True)
class Notes:
    """What a run did that its pages must be judged by: faults, and incidents that a person acknowledged (when)."""

    faults: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    asked: dict[str, int] = dataclasses.field(default_factory=dict)

    @contextlib.contextmanager
    def fault(self, action: str) -> Iterator[None]:
        """The time that it takes, unless it is one that leaves workers and brokers alone."""
        begun_ms = time.time_ns() // 1_000_000
        try:
            yield
        finally:
            if action not in HARMLESS:
                self.faults.append((begun_ms, time.time_ns() // 1_000_000))


def of_pager(arrivals: Iterable[Arrival]) -> list[Request]:
    """What PagerDuty's stand-in logged. Only a trigger says which notification it is."""
    found = []
    for one in arrivals:
        fields = one.fields
        key, action = str(fields.get("dedup_key", "")), str(fields.get("event_action", ""))
        payload = fields.get("payload")
        details = payload.get("custom_details", {}) if isinstance(payload, dict) else {}
        name = str(details.get("notification") or f"{key}/{action}")
        found.append(Request(one.at_ms, PAGER, key, action, name, one.status, one.taken))
    return found


def of_webhook(channel: str, arrivals: Iterable[Arrival]) -> list[Request]:
    """What a webhook's stand-in logged."""
    words: Mapping[object, str] = {"all_alerts_resolved": "resolve", "acknowledged": "acknowledge"}
    return [
        Request(
            one.at_ms, channel, str(one.fields.get("groupKey", "")),
            words.get(one.fields.get("notification_reason"), "trigger"), one.headers.get("idempotency-key", ""),
            one.status, one.taken,
        )
        for one in arrivals
    ]  # fmt: skip


def grouped(requests: Iterable[Request], *names: str) -> dict[tuple[str, ...], list[Request]]:
    """By those fields, in order of arrival."""
    found: dict[tuple[str, ...], list[Request]] = {}
    for one in sorted(requests, key=lambda one: one.at_ms):
        found.setdefault(tuple(str(getattr(one, name)) for name in names), []).append(one)
    return found


def order(requests: Iterable[Request]) -> list[str]:
    """P3: the order of what was taken, by channel and incident."""
    wrong = []
    for (channel, key), taken in grouped((one for one in requests if one.taken), "channel", "key").items():
        known: dict[str, str] = {}  # notification -> action, of those that were taken before
        for one in taken:
            ended = "resolve" in known.values()
            if not known and one.action != "trigger":
                wrong.append(f"P3: {channel} was told {one.action} of {key} first")
            if ended and not (one.action == "resolve" and one.name in known):
                wrong.append(f"P3: {channel} was told {one.action} of {key} after its end")
            known[one.name] = one.action
    return wrong


def ends(requests: Iterable[Request], lives: Mapping[str, Life]) -> list[str]:
    """P3: an incident ends at the pager when its alert ends, and not before. `lives`: by incident."""
    found = grouped((one for one in requests if one.taken and one.channel == PAGER), "key")
    wrong = []
    for key, life in lives.items():
        told = [one.at_ms for one in found.get((key,), ()) if one.action == "resolve"]
        if told and (life.resolved_ms is None or told[0] < life.resolved_ms - SLACK_MS):
            wrong.append(f"P3: {key} of {dict(life.group)} was resolved, and burns")
        if life.paged_ms is not None and life.resolved_ms is not None and not told:
            wrong.append(f"P3: {key} of {dict(life.group)} was not resolved")
    return wrong


def late(after_s: Sequence[float], allowed_s: float) -> list[str]:
    """P4: no page later than that, once the burn can be known and everything is healed."""
    return [f"P4: a page came after {one:.1f} s, {allowed_s:.0f} are allowed" for one in after_s if one > allowed_s]


def fallback(requests: Iterable[Request], faults: Spans) -> tuple[list[str], int]:
    """P5: (what is wrong, incidents that needed the fallback). Time in which the workers themselves are hurt is given."""
    wrong, needed = [], 0
    everything = list(requests)
    spare = grouped((one for one in everything if one.channel == FALLBACK and one.taken), "key")
    for (key,), told in grouped((one for one in everything if one.channel == PAGER), "key").items():
        first = told[0].at_ms
        bound = first + int((FALLBACK_AFTER_S + FALLBACK_SLACK_S) * 1000)
        for begin, end in sorted(faults):
            if begin <= bound and end >= first:
                bound = max(bound, end + SETTLES_MS + int((FALLBACK_AFTER_S + FALLBACK_SLACK_S) * 1000))
        if any(one.taken and one.at_ms <= bound for one in told):
            continue
        needed += 1
        if not any(one.at_ms <= bound for one in spare.get((key,), ())):
            wrong.append(f"P5: nobody was told of {key} for {(bound - first) / 1000:.0f} s, and the fallback neither")
    return wrong, needed


def acknowledged(requests: Iterable[Request], asked: Mapping[str, int]) -> list[str]:
    """P6: each incident that a person acknowledged is so at the pager, unless it was over. `asked`: when, by incident."""
    found = grouped((one for one in requests if one.taken and one.channel == PAGER), "key")
    wrong = []
    for key, asked_ms in asked.items():
        told = found.get((key,), [])
        after = [one.action for one in told if one.at_ms >= asked_ms]
        if "acknowledge" not in after and "resolve" not in (one.action for one in told):
            wrong.append(f"P6: {key} was acknowledged by a person, and the pager does not know")
    return wrong


def allowed(seconds: float) -> int:
    """Requests that the back-off allows in so long: the first at once, waits of half the bound at least."""
    count, waited, bound = 1, BASE_S / 2, BASE_S
    while waited <= seconds:
        count, bound = count + 1, min(MOST_S, 2 * bound)
        waited += bound / 2
    return count


def repeats(requests: Iterable[Request], faults: Spans) -> tuple[list[str], int]:
    """P7: (what is wrong, requests that were sent again although they had been taken)."""
    wrong, again = [], 0
    for (channel, name), sent in grouped(requests, "channel", "name").items():
        hurt = [span for span in faults if span[0] <= sent[-1].at_ms and span[1] + SETTLES_MS >= sent[0].at_ms]
        budget = allowed((sent[-1].at_ms - sent[0].at_ms) / 1000) + 2 * len(hurt)
        if len(sent) > budget:
            wrong.append(f"P7: {len(sent)} requests to {channel} for {name}, {budget} are allowed")
        for before, one in itertools.pairwise(sent):
            again += before.taken
            excused = any(begin <= one.at_ms and end + SETTLES_MS >= before.at_ms for begin, end in hurt)
            if before.taken and before.status in TAKEN and not excused:
                wrong.append(f"P7: {channel} had taken {name}, said so, and was asked again")
    return wrong, again


def incidents(
    opened: Mapping[str, int], subjects: Mapping[str, set[Subject]], lives: Sequence[Life]
) -> dict[str, Life]:
    """The alert behind each incident at the pager: of its SLO and group, the last one that paged before it was opened (ms)."""
    found: dict[str, Life] = {}
    for key, opened_ms in opened.items():
        for life in lives:
            paged_ms = life.paged_ms
            if (life.slo, life.group) in subjects[key] and paged_ms is not None and paged_ms <= opened_ms + SLACK_MS:
                found[key] = life
    return found


def repeated(keys: Sequence[str], subjects: Callable[[str], Collection[Subject]]) -> int:
    """P2: incidents at the pager beyond one for each key, and for each group. `subjects`: of an incident."""
    groups = [subject for key in set(keys) for subject in subjects(key)]
    return len(keys) - len(set(keys)) + len(groups) - len(set(groups))


def judge(requests: Sequence[Request], notes: Notes, lives: Mapping[str, Life]) -> tuple[list[str], dict[str, object]]:
    """(what of P3, P5, P6 and P7 is wrong, how often there was something to judge). `lives`: by incident."""
    unheard, needed = fallback(requests, notes.faults)
    sent_again, again = repeats(requests, notes.faults)
    wrong = [*order(requests), *ends(requests, lives), *unheard, *acknowledged(requests, notes.asked), *sent_again]
    resolved = sum(life.resolved_ms is not None for life in lives.values())
    return wrong, {
        "requests_to_channels": len(requests), "taken_and_sent_again": again, "incidents_that_must_end": resolved,
        "incidents_acknowledged": len(notes.asked), "incidents_for_the_fallback": needed,
    }  # fmt: skip
