"""Snapshots of the outbox: what survives, and what is refused."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.lane import Policy
from sinks.outbox import Outbox
from sinks.outbox_state import CorruptOutbox, restore, snapshot
from sinks.port import Category, Delivered, Retry
from tests.sinks.build import notification

T0 = 1_700_000_000_000
POLICIES = {"pager": Policy(per_minute=120, fallback="team", breaker_failures=1), "team": Policy()}


def used() -> Outbox:
    box = Outbox(POLICIES)
    box.offer([notification(f"n{n}", f"i{n % 3}") for n in range(6)], T0)
    first, second, _ = box.begin(T0)
    box.settle(first, Delivered("ok"), T0)
    box.settle(second, Retry(Category.SERVER_ERROR, "HTTP 503", 5_000), T0)
    return box


def test_what_was_under_way_is_owed_again_and_what_was_delivered_is_not() -> None:
    box = Outbox(POLICIES)
    restore(box, snapshot(used()))
    assert box.counters["owed_again"] == 1
    assert not box.lanes["pager"].breaker.closed
    assert len(box.lanes["pager"].budget.sent) == 3
    box.drain()
    found = []
    for now in range(T0 + 10_000, T0 + 60_000, 100):
        for attempt in box.begin(now):
            found.append((attempt.notification.notification_id, attempt.number))
            box.settle(attempt, Delivered("ok"), now)
    assert ("n0", 1) not in found
    assert ("n2", 2) in found
    assert {name for name, _ in found if name.startswith("n")} == {f"n{n}" for n in range(1, 6)}


def test_memos_survive_and_what_is_owed_may_have_been_taken() -> None:
    box = used()
    first = box.lanes["pager"].find("n1")
    assert first is not None
    first.memo = "half"
    box.memos["pager\0i9"] = "place"
    again = Outbox(POLICIES)
    restore(again, snapshot(box))
    restored = again.lanes["pager"].find("n1")
    assert restored is not None
    assert (restored.memo, again.memos) == ("half", {"pager\0i9": "place"})
    assert all(entry.unsure for entry in again.lanes["pager"])


def test_a_snapshot_is_a_function_of_the_state() -> None:
    assert snapshot(used()) == snapshot(used())


def test_deliveries_of_a_channel_that_is_gone_fail_with_that_reason() -> None:
    box = Outbox({"team": Policy()})
    restore(box, snapshot(used()))
    assert len(box) == 0
    assert (box.unaccounted, box.counters["offered"], box.counters["unknown_channel"]) == (0, 6, 5)
    gone = [record for record in box.drain() if "no channel 'pager'" in record.last_error]
    assert len(gone) == 5


def test_a_restored_outbox_does_not_share_with_the_other() -> None:
    one = used()
    other = Outbox(POLICIES)
    restore(other, snapshot(one))
    other.begin(T0 + 20_000)
    assert one.lanes["pager"] is not other.lanes["pager"]


@given(st.integers(0), st.integers(0, 255))
def test_any_damage_is_refused(place: int, value: int) -> None:
    data = bytearray(snapshot(used()))
    place %= len(data)
    if data[place] == value:
        return
    data[place] = value
    box = Outbox(POLICIES)
    with pytest.raises(CorruptOutbox):
        restore(box, bytes(data))
    assert len(box) == 0


@pytest.mark.parametrize(
    "content",
    [b"[]", b"{}", b"not json", b'{"now_ms": 1, "sequence": "x"}', b'{"now_ms":1,"sequence":1,"counters":[]}'],
)
def test_other_content_is_refused(content: bytes) -> None:
    body = zlib.compress(content)
    with pytest.raises(CorruptOutbox):
        restore(Outbox(POLICIES), b"TOX1" + zlib.crc32(body).to_bytes(4, "little") + body)


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.limits.SNAPSHOT_BYTES_MAX", 100)
    with pytest.raises(CorruptOutbox, match="larger than 100"):
        restore(Outbox(POLICIES), snapshot(used()))
