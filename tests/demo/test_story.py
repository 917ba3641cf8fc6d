"""Story: what the script says about a moment."""

from __future__ import annotations

from demo.story import script

LIVE = 1_800_000_000_000


def test_nothing_goes_wrong_before_the_story() -> None:
    story = script(LIVE, 1)
    for time_ms in range(LIVE - 3_600_000, LIVE, 60_000):
        assert not story.strikes("errors", "shop", time_ms, 7)
        assert not story.silent("offline", "west", time_ms)


def test_the_pace_stretches_it() -> None:
    slow = script(LIVE, 1, pace=2.0)
    assert not slow.silent("errors", "shop", LIVE + 11_000)
    assert slow.silent("errors", "shop", LIVE + 83_000)
    assert not script(LIVE, 1).silent("errors", "shop", LIVE + 83_000)


def test_the_offline_fleet_stays_offline() -> None:
    assert script(LIVE, 1).silent("offline", "west", LIVE + 3_600_000)


def test_a_delivery_happens_in_one_slice_only() -> None:
    story = script(LIVE, 1)
    found = [
        second
        for second in range(-60, 60)
        if story.deliveries("vehicle-03", LIVE + second * 1000, LIVE + second * 1000 + 1000)
    ]
    assert found == [30]
