"""Records: identities are those of the contract, and canonical forms come back."""

from __future__ import annotations

import hashlib
import io

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.records import (
    DEFINITION_SCHEMA,
    MEASURE_KINDS,
    MeasureKind,
    NotADefinition,
    SeriesDefinition,
    SloGroup,
    SourceKind,
    short_hash,
)

LABELS = st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=4)


@given(st.text(max_size=9), st.sampled_from(MeasureKind), st.sampled_from(SourceKind), LABELS)
def test_a_series_comes_back_and_does_not_depend_on_label_order(
    metric: str, kind: MeasureKind, source: SourceKind, labels: dict[str, str]
) -> None:
    series = SeriesDefinition(metric, kind, "ms", source, labels)
    turned = SeriesDefinition(metric, kind, "ms", source, dict(reversed(labels.items())))
    assert SeriesDefinition.from_bytes(series.canonical()) == series
    assert turned.canonical() == series.canonical()
    assert turned.id == series.id


@given(st.text(max_size=90), st.sampled_from(MeasureKind), st.text(max_size=70), st.dictionaries(st.text(), st.text()))
def test_a_series_is_written_as_fastavro_writes_it(
    metric: str, kind: MeasureKind, unit: str, labels: dict[str, str]
) -> None:
    labels |= {f"many-{number}": "v" * number for number in range(len(metric))}
    out = io.BytesIO()
    row = {"metric": metric, "kind": MEASURE_KINDS[kind], "unit": unit, "source_kind": "vehicle"}
    fastavro.schemaless_writer(out, DEFINITION_SCHEMA, row | {"labels": dict(sorted(labels.items()))})
    assert SeriesDefinition(metric, kind, unit, SourceKind.VEHICLE, labels).canonical() == out.getvalue()


def test_canonical_bytes_are_fixed() -> None:
    series = SeriesDefinition("m", MeasureKind.OUTCOME, "1", SourceKind.VEHICLE, {"b": "2", "a": "1"})
    assert series.canonical() == b"\x02m\x06\x021\x04\x04\x02a\x021\x02b\x022\x00"
    assert series.id == int.from_bytes(hashlib.blake2b(series.canonical(), digest_size=8).digest(), "little")


@given(st.text(max_size=9), st.integers(0, 9), LABELS)
def test_a_group_comes_back(slo: str, objective: int, labels: dict[str, str]) -> None:
    group = SloGroup(slo, objective, labels)
    assert SloGroup.from_bytes(group.canonical()) == group
    assert SloGroup(slo, objective, dict(reversed(labels.items()))).id == group.id


def test_a_groups_id_is_that_of_the_contract() -> None:
    assert SloGroup("s", 1, {"b": "2", "a": "1"}).id == short_hash(b"s\x001\x00a=1,b=2")


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x02m\x08\x021\x04\x00", b"\x02\xff\x00\x00\x00\x00"])
def test_other_bytes_are_no_definition(data: bytes) -> None:
    with pytest.raises(NotADefinition):
        SeriesDefinition.from_bytes(data)
    with pytest.raises(NotADefinition):
        SloGroup.from_bytes(data[:1])
