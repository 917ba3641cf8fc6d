"""The attack is one: its bombs are what they claim to be, and its connections do not end their heads."""

from __future__ import annotations

import asyncio

import pytest

from bench.attack import Attacker, Order, bombs
from gateway.accesslog import AccessLog
from gateway.door import Door, Route, anybody
from gateway.intake import Intake
from gateway.large import Large
from gateway.limits import UNFOLDED_BYTES
from gateway.memory import Budget
from gateway.telemetry import PATH, Telemetry
from gateway.unfold import Refusal, unfold
from tests.gateway.making import listening, until
from tests.gateway.test_intake import Kept


def test_one_bomb_is_beyond_the_ratio_and_one_is_below_it():
    loud, quiet = bombs()
    with pytest.raises(Refusal, match="unfold beyond"):
        unfold(loud, "gzip")
    assert len(unfold(quiet, "gzip")) == UNFOLDED_BYTES


async def test_a_gateway_lets_none_of_it_in():
    kept = Kept()
    door = Door({PATH: Route("POST", Telemetry(Intake(kept), Budget(1 << 26), Large()))}, anybody, AccessLog("none"))
    stopped = asyncio.Event()
    async with listening(door) as (host, port, listener):
        attacker = Attacker(Order(f"http://{host}:{port}", slow=20, bombs_s=50.0))
        attack = asyncio.create_task(attacker.run(stopped))
        await until(lambda: listener.open >= 20 and sum(attacker._statuses.values()) >= 4)
        stopped.set()
        done = await attack
    assert set(done.statuses) == {"400", "413"}
    assert done.most_open == 20
    assert not kept.records
