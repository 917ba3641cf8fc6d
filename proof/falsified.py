"""Falsified: the run's own results, changed on purpose, and the raw topic counted without dedupe: the oracle must see each.

What: a measurement dropped, doubled, or swapped for another (count and sum unchanged: only the fingerprint tells), with
another outcome, in another bucket, or missing in its minute alone; a page dropped, doubled, unasked, or ended first. Why:
books that agree prove nothing until the same books with one mistake in them do not. It refuses to say anything of books that
are wrong already: then any control would be seen.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable, Sequence

from demo import windows
from demo.audit import compare
from demo.ideal import Expected
from demo.ledger import Cells
from demo.pages import Arrival, Log, Page, match
from demo.wire import Identity
from proof.controls import Control, answer
from proof.oracle import cells_in
from proof.pages import PAGER, Request, order, repeated

MINUTE_MS = windows.LENGTHS_MS[0]


def changed(cells: Cells, at: tuple[Identity, int], by: int, fingerprint: int) -> Cells:
    """A copy in which one cell has that many more measurements (each of value 0), and another fingerprint."""
    cell = cells[at]
    ids = (cell.fingerprint + fingerprint) % 2**64
    return cells | {at: dataclasses.replace(cell, count=cell.count + by, fingerprint=ids)}


def in_books(truth: Cells, found: Cells, late: Cells, seed: int) -> list[Control]:
    """One measurement of each hundred thousand (one at least) dropped, doubled, or swapped; told as bad though it was good;
    put into the next bucket; and dropped from its minute alone."""
    if not compare(truth, found, late, 0).exact:
        return [Control("the books as they are must be exact", 0, 0)]  # else any control would be seen
    rng = random.Random(seed)
    keys = sorted(found, key=repr)
    times = max(1, sum(cell.count for cell in found.values()) // 100_000)
    answers = []
    for name, by in (("one in 1e5 dropped", -1), ("one in 1e5 doubled", 1), ("one swapped for another", 0)):
        wrong = found
        for _ in range(times):
            wrong = changed(wrong, rng.choice(keys), by, rng.getrandbits(63) + 1)
        answers.append(answer(name, truth, wrong, late))
    at = rng.choice([key for key in keys if found[key].good and found[key].buckets])
    cell = found[at]
    answers.append(
        answer("one good told as bad", truth, found | {at: dataclasses.replace(cell, good=cell.good - 1)}, late)
    )
    (code, count), *others = cell.buckets
    moved = dataclasses.replace(cell, buckets=((code - 1, 1), *([(code, count - 1)] if count > 1 else []), *others))
    answers.append(answer("one in the next bucket", truth, found | {at: moved}, late))
    minutes = windows.summed(found, MINUTE_MS)
    one = changed(minutes, rng.choice(sorted(minutes, key=repr)), -1, rng.getrandbits(63) + 1)
    verdict = windows.compare(truth, one, late, MINUTE_MS, 0)
    return [*answers, Control("one dropped from a minute", verdict.lost, verdict.doubled + verdict.altered)]


def in_pages(
    expected: Sequence[Expected],
    arrivals: Sequence[Arrival],
    keys: Sequence[str],
    requests: Sequence[Request],
    log: Log,
) -> list[Control]:
    """One page that did not come; one that nothing asked for; an incident opened twice; an end told first. `keys`: of the
    incidents at the pager. None without a page: there is nothing to falsify."""
    found, unasked = match(expected, arrivals, log)
    first = next((one for one in requests if one.taken and one.action == "trigger" and one.channel == PAGER), None)
    if first is None:
        return []
    if unasked or missed(found) or repeated(keys, log.subjects) or order(requests):
        return [Control("the pages as they are must be right", 0, 0)]
    less, _ = match(expected, [one for one in arrivals if one.dedup_key != first.key], log)
    stranger = Arrival(first.at_ms, "trigger", "nobody", "critical")
    _, more = match(expected, [*arrivals, stranger], log)
    ended = dataclasses.replace(first, action="resolve", name=f"{first.key}/resolve", at_ms=first.at_ms - 1)
    return [
        Control("one page dropped", missed(less), 0),
        Control("one page that nothing asked for", 0, len(more)),
        Control("one page doubled", 0, repeated([*keys, first.key], log.subjects)),
        Control("one end told before its beginning", 0, len(order([*requests, ended]))),
    ]


def missed(found: Sequence[Page]) -> int:
    """Pages that did not come."""
    return sum(page.delivered_ms is None for page in found)


def without_dedupe(truth: Cells, raw: Iterable[bytes], mine: Callable[[Cells], Cells]) -> Control:
    """The raw topic, every record counted as often as it lies there. `mine`: leaves out what is judged apart."""
    return answer("dedupe off", truth, mine(cells_in(raw, dedupe=False)[0]), {})
