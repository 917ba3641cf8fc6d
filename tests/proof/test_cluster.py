"""Seats: who listens where, and how many copies a write needs; what the settings file says of it."""

from __future__ import annotations

from pathlib import Path

from local.kafka import Seat, settings_of
from proof.cluster import seats


def test_three_seats_share_voters_and_cluster() -> None:
    found = seats(3, "T" + "a" * 21)
    assert [seat.node for seat in found] == [1, 2, 3]
    assert len({seat.controllers for seat in found}) == 1
    assert len({port for seat in found for port in (seat.port, *seat.controllers)}) == 6
    assert {(seat.copies, seat.in_sync) for seat in found} == {(3, 2)}


def test_the_settings_of_a_seat_with_a_detour() -> None:
    text = settings_of(Seat(2, 1001, (2001, 2002, 2003), "T", 3, 2, (3001, 3002)), Path("data"))
    lines = dict(line.partition("=")[::2] for line in text.splitlines() if not line.startswith("#"))
    assert lines["node.id"] == "2"
    assert lines["controller.quorum.voters"] == "1@127.0.0.1:2001,2@127.0.0.1:2002,3@127.0.0.1:2003"
    assert lines["listeners"] == "PLAINTEXT://127.0.0.1:1001,CONTROLLER://127.0.0.1:2002,DETOUR://127.0.0.1:3001"
    assert lines["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1001,DETOUR://127.0.0.1:3002"
    assert (lines["min.insync.replicas"], lines["default.replication.factor"]) == ("2", "3")
    assert "DETOUR://" not in settings_of(Seat(1, 1001, (2001,), "T", 1, 1), Path("data"))
