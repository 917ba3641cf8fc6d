"""Numbers of definitions: given once, found again, given out again."""

import dataclasses

import numpy as np

from rollups.definitions import Definitions
from rollups.limits import SOURCE_KINDS
from schemas.cells import Cells
from schemas.records import MeasureKind, SeriesDefinition, SourceKind

T0 = 1_800_000_000_000


def rows(names: str, pane_ms: int = T0, kind: SourceKind = SourceKind.WEB) -> Cells:
    found = [SeriesDefinition("m", MeasureKind.GAUGE, "1", kind, {"name": name}) for name in names]
    data = [one.canonical() for one in found]
    return Cells.of(
        len(found),
        series=np.array([one.id for one in found], np.uint64),
        pane_ms=np.full(len(found), pane_ms),
        definition_end=np.cumsum([len(one) for one in data]),
        definition_bytes=np.frombuffer(b"".join(data), np.uint8),
    )


def test_numbers_stay_and_name_the_same_bytes_again():
    definitions = Definitions(10)
    block = rows("abca")
    assert definitions.index_of(0, block).tolist() == [0, 1, 2, 0]
    assert definitions.index_of(1, rows("dcb")).tolist() == [3, 2, 1]
    index = definitions.index_of(0, block)
    again = definitions.named(dataclasses.replace(block, series=index.astype(np.uint64)))
    assert again.columns() == block.columns()


def test_an_id_seen_before_needs_no_definition():
    definitions = Definitions(10)
    definitions.index_of(0, rows("ab"))
    bare = rows("ba")
    bare = Cells.of(2, series=bare.series, pane_ms=bare.pane_ms)
    assert definitions.index_of(0, bare).tolist() == [1, 0]


def test_beyond_the_limit_there_is_no_number():
    definitions = Definitions(2)
    assert definitions.index_of(0, rows("abc")).tolist() == [0, 1, -1]
    assert definitions.index_of(0, rows("cba")).tolist() == [-1, 1, 0]
    assert len(definitions) == 2


def test_old_numbers_are_given_out_again():
    definitions = Definitions(2)
    definitions.index_of(0, rows("a"))
    definitions.index_of(0, rows("b", T0 + 10_000, SourceKind.VEHICLE))
    later = [T0 + 10_000] * SOURCE_KINDS
    assert definitions.forget(later) == 1
    assert definitions.forget(later) == 0
    assert definitions.index_of(0, rows("c", T0 + 20_000)).tolist() == [0]
    assert definitions.index_of(0, rows("bd", T0 + 20_000, SourceKind.VEHICLE)).tolist() == [1, -1]
    assert definitions.kinds.tolist() == [0, 2]


def test_a_block_remembered_by_its_ids_moves_its_newest_pane():
    definitions = Definitions(4)
    for pane_ms in (T0, T0 + 10_000, T0 - 10_000):
        definitions.index_of(0, rows("ab", pane_ms))
    assert definitions.newest_ms.tolist() == [T0 + 10_000] * 2


def test_a_snapshot_brings_numbers_and_free_ones_back():
    definitions, other = Definitions(9), Definitions(9)
    definitions.index_of(0, rows("ab"))
    definitions.index_of(0, rows("c", T0 + 10_000))
    definitions.forget([T0 + 10_000] * SOURCE_KINDS)
    other.load(definitions.columns(), definitions.frozen())
    assert other.frozen() == definitions.frozen()
    block = rows("dce", T0 + 20_000)
    assert other.index_of(0, block).tolist() == definitions.index_of(0, block).tolist() == [0, 2, 1]
    assert [other.known[n] for n in range(4)] == [definitions.known[n] for n in range(4)] != [b""] * 4
