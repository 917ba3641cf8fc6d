"""Running totals: each increase is said once, whatever comes twice, late, or from a process that began anew."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.cumulative import Counts, Point, Streams

BEGAN = 100


class Said:
    """A stream as the route drives it."""

    def __init__(self, most: int = 1_000) -> None:
        self.streams = Streams(BEGAN, most)

    def send(self, point: Point, key="k", *, stored=True):
        proposed: dict = {}
        added = self.streams.propose(key, point, proposed, self.streams.since("source"))
        if stored:
            self.streams.keep(proposed)
        return None if added is None else added.total


def test_increases_and_repeats():
    said = Said()
    assert said.send(Point(50, 200, 7.0)) is None, "it began before us: somebody else may have counted it"
    assert said.send(Point(50, 300, 10.0)) == 3.0
    assert said.send(Point(50, 300, 10.0)) is None
    assert said.send(Point(50, 250, 8.0)) is None, "late"
    assert said.send(Point(50, 400, 10.0)) == 0.0


def test_a_stream_that_began_after_us_counts_from_its_start():
    said = Said()
    assert said.send(Point(150, 200, 7.0)) == 7.0
    said.streams.keep({"source": Point(0, 200, 0.0)})
    assert said.send(Point(180, 300, 5.0), "late label") is None, "it began before what we saw last"
    assert said.send(Point(201, 300, 5.0), "new label") == 5.0


def test_a_new_start_is_a_reset():
    said = Said()
    said.send(Point(150, 200, 7.0))
    assert said.send(Point(210, 300, 4.0)) == 4.0
    assert said.send(Point(290, 400, 9.0)) is None, "began while the last one still counted: unclear, so nothing"
    assert said.send(Point(290, 500, 11.0)) == 2.0


def test_a_total_that_falls_is_a_reset():
    said = Said()
    said.send(Point(0, 200, 7.0))
    assert said.send(Point(0, 300, 2.0)) == 2.0


def test_what_was_not_stored_is_said_again():
    said = Said()
    said.send(Point(150, 200, 7.0))
    assert said.send(Point(150, 300, 9.0), stored=False) == 2.0
    assert said.send(Point(150, 400, 12.0)) == 5.0


def test_the_oldest_stream_is_forgotten():
    said = Said(most=2)
    for key in "abc":
        said.send(Point(150, 200, 1.0), key)
    assert len(said.streams) == 2
    assert said.send(Point(150, 300, 9.0), "c") == 8.0


def test_histograms_bucket_by_bucket():
    streams = Streams(BEGAN)
    proposed: dict = {}
    first = Counts({(0, 0): 1, (0, 1): 2}, None, (1.0,))
    streams.propose("k", Point(150, 200, 3.0, first), proposed, BEGAN)
    added = streams.propose("k", Point(150, 300, 5.0, Counts({(0, 0): 1, (0, 1): 5}, None, (1.0,))), proposed, BEGAN)
    assert (added.total, added.counts.of) == (2.0, {(0, 1): 3})
    other = Counts({(0, 0): 9, (0, 1): 9}, None, (2.0,))
    assert streams.propose("k", Point(150, 400, 9.0, other), proposed, BEGAN) is None, "other bounds: begins anew"


@given(st.lists(st.floats(1e-3, 1e3), max_size=30), st.lists(st.floats(1e-3, 1e3), max_size=30), st.integers(0, 4))
def test_a_scale_that_falls_loses_no_count(before, after, step):
    from math import ceil, log2

    def counts(values, scale):
        found: dict = {}
        for value in values:
            key = (1, ceil(log2(value) * 2**scale) - 1)
            found[key] = found.get(key, 0) + 1
        return Counts(found, scale)

    added = counts(before + after, 5 - step).minus(counts(before, 5))
    assert added.of == counts(after, 5).coarser(5 - step).of
