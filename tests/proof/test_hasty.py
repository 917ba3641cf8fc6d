"""A hasty worker breaks one rule of one stage, and knows when panes are told."""

from __future__ import annotations

import asyncio

import numpy as np

from proof.hasty_worker import closes, hasty
from schemas import codec
from schemas.cells import FLAG_SLO, Cells
from schemas.records import PartialBatch
from streams import topics
from streams.producer import Outgoing


def partial(*flags: int) -> Outgoing:
    rows = Cells.of(len(flags), flags=np.array(flags, np.uint8))
    batch = PartialBatch(0, 7, 0, 1, (0, 0, 0, 0), (0, 0, 0, 0), rows)
    return Outgoing(topics.PARTIALS, b"0", codec.encode(batch), 0)


def test_panes_are_told_by_rows_that_are_no_slo_group() -> None:
    assert not closes([])
    assert not closes([partial(), partial(FLAG_SLO)])
    assert closes([partial(), partial(FLAG_SLO, 0)])


def test_other_stages_are_as_they_are() -> None:
    told: list[tuple[object, bool]] = []

    async def right(stage: object, last: bool) -> None:
        told.append((stage, last))

    class Merge:
        name = "merge"

    merge = Merge()
    asyncio.run(hasty(right)(merge, True))
    assert told == [(merge, True)]
