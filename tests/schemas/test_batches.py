"""Batches: what the client library sends is read, and read as an oracle of its own reads it."""

from __future__ import annotations

import random

import pytest
from tocsin.clock import Anchor
from tocsin.encode import Encoder, resource
from tocsin.names import Definition
from tocsin.recorder import Row

from demo.wire import read_batch
from schemas import corrupt
from schemas.walk import number
from tests.schemas.examples import TRACE, batch, decoder, records

RESOURCE = resource("shop", "7", "", "eu", "vehicle", {"host": "h1"})


@pytest.mark.parametrize("series", [1, 40, 700])
def test_what_the_client_sends_is_read(series: int) -> None:
    chance = random.Random(series)
    definitions: list[Definition] = [("histogram", f"m{i % 7}", "ms", (("route", f"/{i}"),)) for i in range(series)]
    encoder = Encoder("car-1", "b00t", RESOURCE, None, Anchor())
    values: list[bytes] = []
    traces = [b"", TRACE]
    for _ in range(5):
        rows: list[Row] = [
            (index, chance.randrange(10**6), chance.random(), chance.randrange(3), chance.choice(traces))
            for index in chance.choices(range(series), k=900)
        ]  # fmt: skip
        values += [sent.payload() for sent in encoder.encode(rows, definitions)]
    read, registry = decoder()
    decoded = read.decode(records(*values))
    assert decoded.refused == []
    assert read.strict_reads == 0
    rows_read = decoded.measurements
    oracle = [read_batch(value) for value in values]
    assert rows_read.value.tolist() == [value for each in oracle for value in each.value.tolist()]
    assert rows_read.time_ms.tolist() == [time for each in oracle for time in each.time_ms.tolist()]
    assert rows_read.outcome.tolist() == [outcome for each in oracle for outcome in each.outcome.tolist()]
    assert rows_read.event_id().tolist() == [event for each in oracle for event in each.event_id.tolist()]
    expected = [each.identities[index] for each in oracle for index in each.series.tolist()]
    found = [registry.definitions[index] for index in rows_read.series.tolist()]
    assert [(one.metric, "vehicle", tuple(sorted(one.labels.items()))) for one in found] == [
        (metric, kind, labels) for metric, _, _, kind, labels in expected
    ]
    assert all(trace.tobytes() == TRACE for trace in rows_read.exemplar_trace)


def test_arrays_in_several_blocks_are_read() -> None:
    plain = batch(5)
    one = number(1) + number(1) + number(16) + TRACE + number(0)  # the array of one exemplar
    assert plain.count(one) == 1
    split = plain.replace(one, one[:-1] + number(1) + number(0) + number(16) + TRACE + number(0))
    sized = plain.replace(one, number(-1) + number(18) + one[1:])  # legal, but not plain
    lying = plain.replace(one, number(-1) + number(17) + one[1:])
    read, _ = decoder()
    decoded = read.decode(records(split, sized, lying))
    assert decoded.measurements.exemplar_row.tolist() == [0, 1, 6]
    assert [refused.reason for refused in decoded.refused] == [corrupt.LENGTH]
    assert read.strict_reads == 2
