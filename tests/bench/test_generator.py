"""What the generator publishes, without publishing it.

What: who burns when, and whose events are whose. Why: the ideal is computed from these arrays. It refuses a broker.
"""

from __future__ import annotations

import urllib.request

import numpy as np

from bench.generator import Exposed, Pace, Published, burning
from bench.rig import free_port


def test_routes_go_bad_one_after_the_other_and_stay_so():
    pace = Pace(rate=100, seconds=10, series=1_000, burn_lead_s=2.0, burn_gap_s=0.5)
    route = np.array([0, 0, 1, 1, 3])
    elapsed = np.array([1.9, 9.0, 2.4, 2.5, 3.4])
    assert burning(pace, route, elapsed).tolist() == [False, True, False, True, False]


def test_without_a_gap_nothing_burns():
    pace = Pace(rate=100, seconds=10, series=1_000)
    assert not burning(pace, np.array([0, 5]), np.array([0.0, 9.0])).any()


def test_a_route_has_its_own_events_in_order():
    found = Published(np.array([1, 2, 3, 4]), np.array([7, 8, 7, 8]), np.array([True, True, False, True]))
    times, good = found.of_route(7)
    assert times.tolist() == [1, 3]
    assert good.tolist() == [True, False]


def test_counters_of_the_same_events_are_exposed():
    port = free_port()
    exposed = Exposed(port, 3)
    exposed.add(np.array([0, 0, 2]), np.array([True, False, False]))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = set(answer.read().decode().splitlines())
    assert {'bench_events_total{route="/route/0"} 2.0', 'bench_bad_total{route="/route/0"} 1.0'} <= lines
    assert {'bench_events_total{route="/route/1"} 0.0', 'bench_bad_total{route="/route/1"} 0.0'} <= lines
    assert 'bench_bad_total{route="/route/2"} 1.0' in lines
