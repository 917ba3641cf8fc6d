"""Falsified: the run's own results, changed on purpose, and the raw topic counted without dedupe: the oracle must see each.

What: a measurement dropped, doubled, or swapped for another (count and sum unchanged: only the fingerprint tells), with
another outcome, in another bucket, or missing in its minute alone. Why: books that agree prove nothing until the same books
with one mistake in them do not. It refuses to say anything of books that are wrong already: then any control would be seen.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Iterable

from demo import windows
from demo.audit import compare
from demo.ledger import Cells
from demo.wire import Identity
from proof.controls import Control
from proof.oracle import cells_in

MINUTE_MS = windows.LENGTHS_MS[0]


def changed(cells: Cells, at: tuple[Identity, int], by: int, fingerprint: int) -> Cells:
    """A copy in which one cell has that many more measurements (each of value 0), and another fingerprint."""
    cell = cells[at]
    ids = (cell.fingerprint + fingerprint) % 2**64
    return cells | {at: dataclasses.replace(cell, count=cell.count + by, fingerprint=ids)}


def answer(name: str, truth: Cells, found: Cells, late: Cells) -> Control:
    """What the oracle says of books."""
    verdict = compare(truth, found, late, 0)
    return Control(name, verdict.lost, verdict.doubled + verdict.invented + verdict.altered)


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


def without_dedupe(truth: Cells, raw: Iterable[bytes], mine: Callable[[Cells], Cells]) -> Control:
    """The raw topic, every record counted as often as it lies there. `mine`: leaves out what is judged apart."""
    return answer("dedupe off", truth, mine(cells_in(raw, dedupe=False)[0]), {})
