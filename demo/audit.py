"""Audit: what came out of the platform, compared with the ledger.

What: reads rollups (per series and window the row with the highest as-of offset), the too-late and the refused records
with its own consumer, and compares cell by cell. Why: count, integer sum, extremes, fingerprint, outcomes and histogram
together prove that every acknowledged measurement was aggregated once, or is accounted for elsewhere. It refuses
product code: records are read by their schema files alone.
"""

from __future__ import annotations

import dataclasses
import io
import json
import logging
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Consumer, KafkaException, TopicPartition

from demo.ledger import WINDOW_MS, Cell, Cells, add, cells_of
from demo.sketch import Buckets
from demo.wire import Identity, NotARecord, body, read_batch, read_definition

AVRO = Path(__file__).parent.parent / "schemas" / "avro"
TOPICS: Mapping[str, str] = {
    "telemetry.rollups": "rollup_batch.avsc",
    "telemetry.late": "late_record.avsc",
    "telemetry.dlq": "dead_letter.avsc",
}
ANSWER_S = 20.0  # for a broker to answer
BEGINS_BYTES = 256  # kept of a record that was put aside or refused
FLAG_FINAL = 4  # bit of `flags`
FRACTION = 2**40  # units of `sum_frac` in one unit of the measurement
FIXED = 2**20  # units of `good` and `total` in one outcome

Place = tuple[int, bytes, int]  # (length of the window, definition, start)


@dataclasses.dataclass(frozen=True, slots=True)
class Difference:
    """One cell that is not as it should be."""

    series: Identity
    start_ms: int
    sent: Cell | None
    found: Cell | None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison in measurements. `lost`: sent, not found. `doubled`: found more often than sent. `invented`: in a
    cell to which nothing was sent. `altered`: the right number of measurements, but not the same ones."""

    aggregated: int
    late: int
    dead_lettered: int
    lost: int
    doubled: int
    invented: int
    altered: int
    differences: list[Difference]

    @property
    def exact(self) -> bool:
        """Whether everything that was sent was found, once."""
        return not (self.lost or self.doubled or self.invented or self.altered)


def load(name: str) -> Any:
    """A schema file, parsed."""
    return fastavro.parse_schema(json.loads((AVRO / name).read_text("utf-8")))


def compare(truth: Cells, aggregated: Cells, late: Cells, dead_lettered: int) -> Verdict:
    """Cell by cell: what was sent against what was aggregated or was too late."""
    found = dict(aggregated)
    for key, cell in late.items():
        add(found, key, cell)
    lost = doubled = invented = altered = 0
    differences: list[Difference] = []
    for key in truth.keys() | found.keys():
        sent, out = truth.get(key), found.get(key)
        if sent == out:
            continue
        differences.append(Difference(*key, sent, out))
        expected, present = sent.count if sent else 0, out.count if out else 0
        lost += max(0, expected - present)
        invented += present if sent is None else 0
        doubled += max(0, present - expected) if sent else 0
        altered += present == expected
    differences.sort(key=lambda difference: (difference.start_ms, difference.series))
    return Verdict(
        sum(cell.count for cell in aggregated.values()), sum(cell.count for cell in late.values()), dead_lettered,
        lost, doubled, invented, altered, differences,
    )  # fmt: skip


class Audit:
    """Everything that has come out so far; `read` takes one message, `compare` may be called at any time."""

    def __init__(self) -> None:
        self._schemas: dict[str, Any] = {}  # by topic, loaded at first use
        self._found: dict[Place, tuple[int, Cell]] = {}  # -> (as-of offset, cell)
        self._late: dict[tuple[int, int], bytes] = {}  # (partition, offset) -> original
        self._dead: dict[tuple[int, int], str] = {}  # (partition, offset) -> reason
        #: (topic, partition, offset) of one that was put aside or refused -> reason, and how it begins
        self.letters: dict[tuple[str, int, int], tuple[str, bytes]] = {}
        self._identities: dict[bytes, Identity] = {}
        self.rollups = 0  # rows read, all revisions
        self._final: dict[Place, int] = {}  # lowest revision that said "final"
        self._provisional: dict[Place, int] = {}  # highest revision that did not

    def read(self, topic: str, value: bytes) -> None:
        """Take in one message of one of `TOPICS`."""
        if topic not in self._schemas:
            self._schemas[topic] = load(TOPICS[topic])
        record: Any = fastavro.schemaless_reader(io.BytesIO(value[body(value) :]), self._schemas[topic], None)
        if topic == "telemetry.rollups":
            self.read_rollup(record["cells"], record["window_ms"])
            return
        place = (record["partition"], record["offset"])
        self.letters[topic, *place] = (record["reason"], record["original"][:BEGINS_BYTES])
        if topic == "telemetry.late":
            self._late[place] = record["original"]
        else:
            self._dead[place] = record["reason"]

    def read_rollup(self, columns: Mapping[str, bytes], window_ms: int = WINDOW_MS) -> None:
        """Take in the cells of one batch of rollups, as columns of little-endian bytes by name."""

        def column(name: str, dtype: str) -> list[Any]:
            return np.frombuffer(columns[name], dtype).tolist()  # type: ignore[no-any-return]

        definitions, begin = columns["definition_bytes"], 0
        rows = zip(
            column("pane_ms", "<i8"), column("offset", "<i8"), column("count", "<i8"), column("sum_whole", "<i8"),
            column("sum_frac", "<i8"), column("low", "<f8"), column("high", "<f8"), column("fingerprint", "<u8"),
            column("good", "<i8"), column("total", "<i8"), sketches(columns),
            column("definition_end", "<i4"), column("revision", "<i4"), column("flags", "<u1"), strict=True,
        )  # fmt: skip
        for start, as_of, count, whole, frac, low, high, ids, good, outcomes, buckets, end, revision, flags in rows:
            self.rollups += 1
            key = (window_ms, definitions[begin:end], start)
            begin = end
            if flags & FLAG_FINAL:
                self._final[key] = min(revision, self._final.get(key, revision))
            else:
                self._provisional[key] = max(revision, self._provisional.get(key, revision))
            before = self._found.get(key)
            if before is None or as_of >= before[0]:
                total = whole if frac == 0 else whole + frac / FRACTION
                judged = whole_if(good, FIXED), whole_if(outcomes, FIXED)
                self._found[key] = (as_of, Cell(count, total, low, high, ids, *judged, buckets))

    @property
    def regressions(self) -> int:
        """Windows that were final and then provisional again, at a higher revision; however often and late each was read."""
        return sum(self._provisional.get(key, -1) > revision for key, revision in self._final.items())

    def found(self, window_ms: int = WINDOW_MS) -> Cells:
        """What was aggregated, by series and window of that length."""
        cells: Cells = {}
        for (length_ms, definition, start), (_, cell) in self._found.items():
            if length_ms != window_ms:
                continue
            if definition not in self._identities:
                self._identities[definition] = read_definition(definition)
            if cell.count:
                add(cells, (self._identities[definition], start), cell)
        return cells

    def late(self) -> Cells:
        """What was too late for its window, by series and window."""
        cells: Cells = {}
        for original in self._late.values():
            try:
                batch = read_batch(original)
            except NotARecord:
                continue
            for key, cell in cells_of(batch):
                add(cells, key, cell)
        return cells

    def compare(self, truth: Cells) -> Verdict:
        """The verdict on everything that has come out so far."""
        return compare(truth, self.found(), self.late(), len(self._dead))

    @property
    def dead_letters(self) -> list[str]:
        """Reasons of the refused records."""
        return sorted(self._dead.values())


def whole_if(value: int, unit: int) -> float:
    """A number in fixed point; an integer if it is one."""
    return value / unit if value % unit else value // unit


def sketches(columns: Mapping[str, bytes]) -> list[Buckets]:
    """The histogram of each row; its columns may come in any order."""
    row, bucket = np.frombuffer(columns["hist_row"], "<i4"), np.frombuffer(columns["hist_bucket"], "<i4")
    order = np.lexsort((bucket, row))
    count = np.frombuffer(columns["hist_count"], "<i8")[order].tolist()
    cuts = np.searchsorted(row[order], np.arange(len(columns["definition_end"]) // 4 + 1)).tolist()
    pairs = tuple(zip(bucket[order].tolist(), count, strict=True))
    return [pairs[low:high] for low, high in pairwise(cuts)]


def quiet() -> logging.Logger:
    """A logger that says nothing unless somebody listens: a broker that stops is no news in a demo."""
    log = logging.getLogger("demo.kafka")
    log.addHandler(logging.NullHandler())
    return log


class TopicReader:
    """A consumer of an audit's topics from where they ended when it was made (or from their beginning)."""

    def __init__(self, bootstrap: str, topics: list[str], from_beginning: bool = False) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": f"tocsin-demo-{time.time_ns()}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 50,
            },
            logger=quiet(),
        )
        described = self._consumer.list_topics(timeout=ANSWER_S).topics
        places = [TopicPartition(topic, partition) for topic in topics for partition in described[topic].partitions]
        for place in places:
            low, high = self._ends(place)
            place.offset = low if from_beginning else high
        self._consumer.assign(places)

    def _ends(self, place: TopicPartition) -> tuple[int, int]:
        """First and next offset of a partition; one that was made a moment ago may have no leader yet."""
        deadline = time.monotonic() + ANSWER_S
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=ANSWER_S)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                self._consumer.list_topics(place.topic, timeout=ANSWER_S)
            else:
                return low, high

    def poll(self, most: int = 500, timeout: float = 0.1) -> list[tuple[str, int, int, bytes]]:
        """Up to `most` messages: (topic, partition, timestamp ms, value). Empty when nothing comes in time."""
        out = []
        for message in self._consumer.consume(most, timeout):
            value = message.value()
            if message.error() is None and value is not None:
                out.append((message.topic() or "", message.partition() or 0, message.timestamp()[1], bytes(value)))
        return out

    def close(self) -> None:
        """Leave."""
        self._consumer.close()
