"""Every record of the contract as a line and as JSON; telemetry from the client's own encoder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tocsin import Client

from cli.decoding import Decoder, line, plain
from schemas import cells as flags
from schemas import codec
from schemas.cells import Cells
from schemas.corrupt import CorruptRecord
from schemas.records import (
    Command,
    DeadLetter,
    LateRecord,
    MeasureKind,
    PartialBatch,
    RollupBatch,
    SeriesDefinition,
    SloGroup,
    SourceKind,
)
from tests.cli.build import ALERT, DELIVERED, INCIDENT, STATUS, T0

SERIES = SeriesDefinition("latency", MeasureKind.HISTOGRAM, "s", SourceKind.WEB, {"route": "/pay"})
GROUP = SloGroup("checkout", 0, {"region": "eu"})


def some_cells() -> Cells:
    definitions = [SERIES.canonical(), GROUP.canonical()]
    return Cells.of(
        2,
        series=np.array([SERIES.id, GROUP.id], np.uint64),
        pane_ms=np.array([T0, T0]),
        flags=np.array([flags.FLAG_FINAL, flags.FLAG_SLO], np.uint8),
        count=np.array([3, 0]),
        sum_whole=np.array([1, 0]),
        sum_frac=np.array([1 << 39, 0]),
        low=np.array([0.25, 0.0]),
        high=np.array([0.75, 0.0]),
        good=np.array([0, 2 << 20]),
        total=np.array([0, 3 << 20]),
        hist_row=np.array([0, 0]),
        hist_bucket=np.array([-9, 4]),
        hist_count=np.array([1, 2]),
        definition_end=np.cumsum([len(data) for data in definitions]),
        definition_bytes=np.frombuffer(b"".join(definitions), np.uint8),
    )


RECORDS = {
    "PartialBatch": PartialBatch(1, 99, 2, T0, (1, 2, 3, 4), (1, 2, 3, 4), some_cells()),
    "RollupBatch": RollupBatch(60_000, T0, 1, 0, (1, 2, 3, 4), some_cells()),
    "SloStatus": STATUS,
    "AlertTransition": ALERT,
    "IncidentTransition": INCIDENT,
    "NotificationRecord": DELIVERED,
    "Command": Command("c", "resolve", "bb01", "ada", T0, {"why": "done"}),
    "LateRecord": LateRecord("telemetry", 1, 2, T0, "future", "x", -1, b"\x00"),
    "DeadLetter": DeadLetter("telemetry", 1, 2, T0, "crc", "x", 5, b"\x00"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_each_record_has_a_line_and_json(name: str) -> None:
    value = Decoder().decode(codec.encode(RECORDS[name]))
    assert line(value)
    assert "\n" not in line(value)
    found = json.loads(json.dumps(plain(value)))
    assert found["record"] == name


def test_every_kind_of_record_is_tried() -> None:
    assert set(RECORDS) == set(codec.FORMS)


def test_cells_are_rows_with_their_names() -> None:
    batch = plain(RECORDS["RollupBatch"])
    assert isinstance(batch, dict)
    series, group = batch["cells"]
    assert series["metric"] == "latency"
    assert series["labels"] == {"route": "/pay"}
    assert (series["count"], series["sum"], series["flags"]) == (3, 1.5, ["final"])
    assert series["histogram"] == {"-9": 1, "4": 2}
    assert (group["slo"], group["good"], group["total"], group["flags"]) == ("checkout", 2.0, 3.0, ["slo"])
    assert line(RECORDS["RollupBatch"]) == (
        "1m from 2025-11-24 16:00:00.000 UTC, batch 0: 1 series rows, 1 SLO rows, 1 final, 3 measurements"
    )


class Kept:
    """A transport that keeps."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def send(self, key: bytes, value: bytes, on_result: object) -> None:
        self.values.append(value)
        on_result(None)  # type: ignore[operator]

    def flush(self, timeout: float) -> int:
        return 0


def test_telemetry_of_the_client() -> None:
    kept = Kept()
    client = Client(source="web-7", service="shop", kind="web", transport=kept, flush_interval=60)  # type: ignore[arg-type]
    requests = client.outcome("requests", "1", route="/pay")
    requests.observe(True, 0.25, time_ms=T0)
    requests.observe(False, 0.5, time_ms=T0 + 1_000, trace_id="ab" * 16)
    client.flush(5)
    client.close(5)
    values = [Decoder().decode(value) for value in kept.values]
    rows = [row for value in values for row in plain(value)["measurements"]]  # type: ignore[index,call-overload]
    assert [(row["value"], row["outcome"]) for row in rows] == [(0.25, "good"), (0.5, "bad")]
    assert rows[1]["trace"] == "ab" * 16
    assert "web-7" in line(values[0])


@pytest.mark.parametrize("data", [b"", b"x", b"\xc3\x01", b"\xc3\x01" + b"\x00" * 20, b"\x00\x00\x00\x00\x07abc"])
def test_anything_else_is_unreadable(data: bytes) -> None:
    with pytest.raises(CorruptRecord):
        Decoder().decode(data)
