"""What is posted to a gateway, and what is counted of the answers."""

from __future__ import annotations

import gzip

import pytest

from bench.posting import BATCH, Order, Poster, bodies
from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.intake import Intake
from gateway.large import Large
from gateway.memory import Budget
from gateway.parts import several
from gateway.telemetry import PATH, Telemetry
from gateway.verdicts import read
from tests.gateway.making import listening
from tests.gateway.test_intake import Kept


@pytest.mark.parametrize("folded", [False, True])
def test_every_record_is_good_and_has_a_sequence_of_its_own(folded):
    order = Order(url="", source="s", requests=10, records=8, folded=folded)
    records = [record for data in bodies(order) for record in several(gzip.decompress(data) if folded else data)]
    rows = [read(record) for record in records]
    assert {len(row.value) for row in rows} == {BATCH}
    assert len({(row.source, row.sequence) for row in rows}) == len(rows) == 80


@pytest.mark.parametrize("order", [{"records": 1}, {"records": 3}, {"records": 3, "folded": True, "rate": 200.0}])
async def test_what_was_answered_as_stored_is_counted(order):
    kept = Kept()
    door = Door({PATH: Route("POST", Telemetry(Intake(kept), Budget(1 << 26), Large()))}, anybody, AccessLog("none"))
    async with listening(door) as (host, port, _):
        wanted = Order(url=f"http://{host}:{port}", source="s", requests=20, connections=3, **order)
        posted = await Poster(wanted).run()
        again = await Poster(wanted).run()
    assert (posted.stored, posted.statuses) == (20 * wanted.records, {"200": 20})
    assert len(kept.records) == posted.stored, "the second time all of them were repeats"
    assert again.stored == posted.stored
    assert 0 < posted.p50_ms <= posted.p99_ms <= posted.max_ms


async def test_refusals_are_counted_by_status():
    door = Door({PATH: Route("POST", Telemetry(Intake(Kept()), Budget(1), Large()))}, anybody, AccessLog("none"))
    async with listening(door) as (host, port, _):
        posted = await Poster(Order(url=f"http://{host}:{port}", source="s", requests=5)).run()
    assert (posted.stored, posted.statuses) == (0, {"503": 5})
