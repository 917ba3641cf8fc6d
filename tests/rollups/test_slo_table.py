"""Differences of SLO cells add up to the newest rows, warm or folded."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rollups.merge_limits import WARM_PANES
from rollups.slo_table import SloTable
from schemas.cells import FLAG_SLO, Cells
from schemas.records import SloGroup

T0 = 1_800_000_000_000
GROUPS = [SloGroup("fast", 0, {"team": str(number)}) for number in range(5)]


def rows(*found: tuple[int, int, int, int, int]) -> Cells:
    """(group, pane, as-of offset, good, total) of each row."""
    definitions = [GROUPS[row[0]].canonical() for row in found]
    return Cells.of(
        len(found),
        series=np.array([GROUPS[row[0]].id for row in found], np.uint64),
        pane_ms=[T0 + 10_000 * row[1] for row in found],
        offset=[row[2] for row in found],
        good=[row[3] for row in found],
        total=[row[4] for row in found],
        flags=[FLAG_SLO] * len(found),
        definition_end=np.cumsum([len(definition) for definition in definitions]),
        definition_bytes=np.frombuffer(b"".join(definitions), np.uint8),
    )


partial = st.tuples(
    st.integers(0, 1),
    st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(0, WARM_PANES + 5), st.integers(0, 20), st.integers(0, 9), st.integers(0, 9)
        ),
        max_size=8,
    ),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(partial, max_size=12))
def test_the_sum_of_the_differences_is_the_newest_row_of_each_source(partials):
    table = SloTable()
    newest: dict[tuple[int, int, int], tuple[int, int, int]] = {}
    sums: dict[tuple[int, int], list[int]] = {}
    for source, found, saved in partials:
        deltas = table.apply(source, rows(*found))
        for at in range(len(deltas.group)):
            assert SloGroup.from_bytes(deltas.definition(at)).id == deltas.group[at]
            cell = sums.setdefault((int(deltas.group[at]), int(deltas.pane_ms[at])), [0, 0])
            cell[0] += int(deltas.good[at])
            cell[1] += int(deltas.total[at])
        for group, pane in {row[:2] for row in found}:
            # of equal offsets in one partial, which never happens, the last one counts
            offset, _, *best = max((row[2], at, *row[3:]) for at, row in enumerate(found) if row[:2] == (group, pane))
            if offset > newest.get((source, group, pane), (-1, 0, 0))[0]:
                newest[source, group, pane] = (offset, best[0], best[1])
        if saved:
            again = SloTable()
            again.groups.load(table.groups.columns(), table.groups.frozen())
            again.load(table.columns(), table.frozen())
            table = again
    truth: dict[tuple[int, int], list[int]] = {}
    for (_, group, pane), (_, good, total) in newest.items():
        cell = truth.setdefault((GROUPS[group].id, T0 + 10_000 * pane), [0, 0])
        cell[0] += good
        cell[1] += total
    assert sums == truth
    assert len({place[0] for place in table.warm}) <= WARM_PANES + 6


def test_old_panes_are_folded_and_take_late_rows():
    table = SloTable()
    for pane in range(WARM_PANES + 3):
        table.apply(0, rows((0, pane, pane, 1, 2)))
    assert len(table.folded) == 3
    deltas = table.apply(0, rows((0, 0, 99, 2, 5)))
    assert (deltas.good.tolist(), deltas.total.tolist()) == ([1], [3])
    assert len(table.folded) == 2


def test_dropped_panes_take_nothing():
    table = SloTable()
    table.apply(0, rows((0, 0, 1, 1, 1), (0, 1, 1, 1, 1)))
    table.drop_before(T0 + 10_000)
    table.drop_before(T0)
    assert list(table.warm) == [(T0 + 10_000, 0)]
    assert not len(table.apply(0, rows((0, 0, 2, 2, 2))).group)
    assert table.beyond_horizon == 1
