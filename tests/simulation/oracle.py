"""The oracle: what must hold after a run, whatever went wrong in it. A finding is a sentence; none is a good run.

The cells are judged by the demo's ledger and audit, which share no code with the product; alerts and incidents by a
replay of the recorded logs through fresh steps, byte for byte, and by the run of the same scenario without faults.
"""

from __future__ import annotations

import collections
import functools
import itertools
from collections.abc import Iterator

from demo import windows
from demo.audit import Audit
from demo.ledger import WINDOW_MS
from schemas import codec
from schemas.cells import FLAG_FINAL
from schemas.records import AlertTransition, NotificationRecord, RollupBatch
from streams import topics
from streams.merge import MergeStep
from streams.notify import NotifyStep
from tests.simulation import scenario
from tests.simulation.platform import ROUTES, SETTINGS, PlatformWorld

HEARD_MS = 2_200  # a heartbeat each second, at a checkpoint each half, and the way there
Told = tuple[str, ...]  # states, one after the other, and whether it ever was a page


class NoDelivery:
    """For a replay: nobody is told anything."""

    def add(self, outbox: object) -> None:
        pass

    def remove(self, outbox: object) -> None:
        pass


def judge(world: PlatformWorld) -> list[str]:
    """All that is wrong with a run."""
    found = [*world.findings, *cells(world), *revisions(world), *replayed_alerts(world), *replayed_incidents(world)]
    found += [*pages(world), *deliveries(world), *paced(world)]
    if alerts(world) != reference(world.number):
        found.append(f"alerts {alerts(world)} are not those of a run without faults, {reference(world.number)}")
    return found


def logs(world: PlatformWorld, topic: str) -> Iterator[tuple[int, list]]:
    for p in range(scenario.PARTITIONS):
        yield p, world.broker.records(topic, p)


# -- the books


def cells(world: PlatformWorld) -> Iterator[str]:
    """What is said of each series and pane is in the ledger, and of each longer window that is over as well."""
    audit = Audit()
    for topic in (topics.ROLLUPS, topics.LATE, topics.DLQ):
        for _, records in logs(world, topic):
            for record in records:
                audit.read(topic, record.value)
    truth = scenario.truth(world.number) | marked(audit)
    over_ms = max((start_ms for _, start_ms in audit.found()), default=0)  # of what was taken: the future was refused
    verdicts = {WINDOW_MS: audit.compare(truth)}
    for window_ms in windows.LENGTHS_MS:
        verdicts[window_ms] = windows.compare(truth, audit.found(window_ms), audit.late(), window_ms, over_ms)
    for window_ms, verdict in verdicts.items():
        if not verdict.exact:
            facts = f"lost {verdict.lost}, doubled {verdict.doubled}, invented {verdict.invented}, altered {verdict.altered}"
            yield f"cells of {window_ms} ms: {facts}; first {verdict.differences[0]}"


def marked(audit: Audit) -> dict:
    """The markers' own cells, as they came: they are no part of the truth."""
    return {key: cell for key, cell in audit.found().items() if key[0][0] == scenario.MARKER}


def revisions(world: PlatformWorld) -> Iterator[str]:
    """A window that was final stays final, and one revision of a row says one thing."""
    said: dict[tuple, dict[int, tuple]] = collections.defaultdict(dict)
    for p, records in logs(world, topics.ROLLUPS):
        for record in records:
            batch = codec.decode(record.value)
            assert isinstance(batch, RollupBatch)
            rows = batch.cells
            for at in range(len(rows)):
                key = (p, batch.window_ms, int(rows.pane_ms[at]), int(rows.series[at]))
                revision = int(rows.revision[at])
                says = (int(rows.count[at]), int(rows.sum_whole[at]), bool(rows.flags[at] & FLAG_FINAL))
                if said[key].setdefault(revision, says) != says:
                    yield f"rollup {key} revision {revision} says {said[key][revision]} and {says}"
    for key, by_revision in said.items():
        finals = [by_revision[revision][2] for revision in sorted(by_revision)]
        if finals != sorted(finals):
            yield f"rollup {key} was final and is provisional again"


def paced(world: PlatformWorld) -> Iterator[str]:
    """Once nothing goes wrong any more, every source partition is heard everywhere, at its pace."""
    begins_ms = scenario.T0 + int((scenario.ENDS_S + 0.5) * 1000)
    for p, records in logs(world, topics.PARTIALS):
        for source in range(scenario.PARTITIONS):
            mine = [r.timestamp_ms for r in records if codec.decode(r.value).partition == source]
            heard = [begins_ms, *(at for at in mine if at > begins_ms), world.now_ms]
            if (longest := max(b - a for a, b in itertools.pairwise(heard))) > HEARD_MS:
                yield f"partials: source partition {source} was not heard in {p} for {longest} ms"


# -- alerts and incidents


def alerts(world: PlatformWorld) -> dict[str, Told]:
    """By alert id: its states, and whether somebody was paged.

    How severe it was in between is left out: a ticket may come first where a checkpoint looked into a burst's middle.
    """
    by_id: dict[str, dict[int, tuple[str, str]]] = collections.defaultdict(dict)
    for _, records in logs(world, topics.ALERTS):
        for record in records:
            item = codec.decode(record.value)
            if isinstance(item, AlertTransition):
                by_id[item.alert_id][item.number] = (item.state, item.severity)
    return {name: told(steps) for name, steps in sorted(by_id.items())}


def told(steps: dict[int, tuple[str, str]]) -> Told:
    states = [steps[number][0] for number in sorted(steps)]
    changes = [state for at, state in enumerate(states) if at == 0 or state != states[at - 1]]
    return (*changes, "paged" if any(severity == "page" for _, severity in steps.values()) else "not paged")


@functools.cache
def reference(number: int) -> dict[str, Told]:
    """The alerts of a scenario when nothing goes wrong."""
    return alerts(PlatformWorld(0, [], number, workers=1).run())


def replayed_alerts(world: PlatformWorld) -> Iterator[str]:
    """The recorded partials through fresh steps give the recorded transitions, byte for byte, and no others."""
    expected: dict[bytes, bytes] = {}
    for p, records in logs(world, topics.PARTIALS):
        step = MergeStep(p, SETTINGS, scenario.CONFIG, ROUTES)
        step.apply(records)
        expected |= {transition_key(out.value): out.value for out in step.drain() if out.topic == topics.ALERTS}
    yield from same(expected, world, topics.ALERTS, AlertTransition)


def replayed_incidents(world: PlatformWorld) -> Iterator[str]:
    """The recorded alerts through fresh steps give the recorded incidents, byte for byte."""
    expected: dict[bytes, bytes] = {}
    for p, records in logs(world, topics.ALERTS):
        step = NotifyStep(p, SETTINGS, ROUTES, world.channels, NoDelivery())
        step.apply(records)
        expected |= {transition_key(out.value): out.value for out in step.drain() if out.topic == topics.INCIDENTS}
    yield from same(expected, world, topics.INCIDENTS, object)


def same(expected: dict[bytes, bytes], world: PlatformWorld, topic: str, kind: type) -> Iterator[str]:
    found: dict[bytes, bytes] = {}
    for _, records in logs(world, topic):
        for record in records:
            if not isinstance(codec.decode(record.value), kind):
                continue
            name = transition_key(record.value)
            if found.setdefault(name, record.value) != record.value:
                yield f"{topic}: {name!r} was written in two ways"
    if found != expected:
        missing, surplus = expected.keys() - found.keys(), found.keys() - expected.keys()
        yield f"{topic}: a replay misses {sorted(surplus)}, adds {sorted(missing)}, or differs in bytes"


def transition_key(value: bytes) -> bytes:
    item = codec.decode(value)
    return f"{getattr(item, 'alert_id', '')}{getattr(item, 'incident_id', '')}/{item.number}".encode()


# -- people


def pages(world: PlatformWorld) -> Iterator[str]:
    """Each burn pages once: triggered before acknowledged before resolved, and nothing is left open."""
    expected = len(reference(world.number))
    keys = collections.Counter(incident.dedup_key for incident in world.pager.incidents)
    if any(count > 1 for count in keys.values()):
        yield f"pages: doubled {dict(keys)}"
    if len(keys) != expected:
        yield f"pages: {len(keys)} people's calls for {expected} burns"
    for incident in world.pager.incidents:
        actions = [action for _, action in incident.told]
        # a trigger may follow the acknowledgement: an update
        in_order = actions[0] == "trigger" and "resolve" not in actions[:-1]
        if incident.status != "resolved" or not in_order:
            yield f"pages: {incident.dedup_key} was told {actions} and is {incident.status}"
    if left := {group: status for group, status in world.hook.groups.items() if status != "resolved"}:
        yield f"hook: {left} at the end"


def deliveries(world: PlatformWorld) -> Iterator[str]:
    """What the notifications topic says last of each delivery is that it was settled."""
    last: dict[str, NotificationRecord] = {}
    for _, records in logs(world, topics.NOTIFICATIONS):
        for record in records:
            item = codec.decode(record.value)
            assert isinstance(item, NotificationRecord)
            if last.get(item.notification_id, item).status != "delivered":
                last[item.notification_id] = item
    for item in last.values():
        if item.status == "pending" or (item.status != "delivered" and item.action in ("trigger", "resolve")):
            yield f"delivery {item.action} through {item.channel} is {item.status}: {item.last_error}"
