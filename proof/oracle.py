"""Oracle: truth per series and window three ways, and what came out held against it, intermediate outputs included.

What: the generator's ledger; the raw topic read again by Kafka's own Java consumer; the rollups topic, where every
revision is judged and not only the last. Why: ledger against raw blames the way in, raw against rollups the processing.
Invariants as in docs/reliability.md: I1 nothing lost, I2 nothing doubled, I3 nothing invented, I6 revisions only grow, of
ten seconds and of each longer window. It refuses tolerance, and, for books, the product's decoders: `demo.wire` and schema
files are all. Only alerts, incidents and SLO status are read with them (`schemas.codec`), as what a page says of itself and
not as truth.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import fastavro
import numpy as np
from confluent_kafka import Consumer, TopicPartition

from demo.audit import TOPICS, Audit, Place, TopicReader, load, sketches
from demo.ledger import Cell, Cells, NotAnInteger, add, cells_of
from demo.pages import Log
from demo.wire import NotARecord, body, read_batch
from local import java
from local.kafka import KAFKA_VERSION
from proof.writers import Writers
from schemas import codec
from schemas.records import IncidentTransition

TOOLS = f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
AT_ONCE = 2  # consumers
IDLE_MS = 60_000  # without a message before all have come: a machine is busy, or something is gone
ANSWER_S = 20.0
FOREIGN_MAX_S = 300.0
KEPT_MS = 30 * 60_000  # of event time for which each revision is remembered; final rows are remembered for good
RECORDS = ("alerts", "incidents", "slo.status")
PARTIALS = "telemetry.partials"
LATE, SLO, FINAL, CORRECTION = 1, 2, 4, 8  # bits of a row's flags
FIXED = 2**20  # of one event in `total`
ROLLUPS, PARTIAL = load("rollup_batch.avsc"), load("partial_batch.avsc")


@dataclasses.dataclass(slots=True)
class Revisions:
    """I6: of each cell, rows must come with as-of offsets that never go back without the row being a repeat; at one
    offset all rows say the same; and a final row is followed by nothing but corrections."""

    seen: dict[Place, tuple[int, int, int]] = dataclasses.field(default_factory=dict)
    said: dict[tuple[Place, int], tuple[int, ...]] = dataclasses.field(default_factory=dict)
    broken: list[str] = dataclasses.field(default_factory=list)
    rows: int = 0
    newest_ms: int = 0
    _forgotten_ms: int = 0

    def row(self, cell: Place, revision: int, flags: int, said: tuple[int, ...]) -> None:
        """Take in one row, in the order of the log. `said`: the count, then all that it says beside."""
        window_ms, _, start_ms = cell
        which = f"{window_ms // 1000} s from {start_ms}"
        self.rows += 1
        self._forget(start_ms)
        before = self.said.setdefault((cell, revision), said)
        if before != said:
            self.broken.append(f"revision {revision} of {which} said {before}, then {said}")
        known = self.seen.get(cell)
        if known is None or revision > known[0]:
            if known is not None and said[0] < known[2]:
                self.broken.append(f"revision {revision} of {which} counts {said[0]}, after {known[2]}")
            if known is not None and known[1] & FINAL and not flags & (FINAL | CORRECTION):
                self.broken.append(f"revision {revision} of {which} is provisional after a final one")
            self.seen[cell] = (revision, flags, said[0])

    def _forget(self, start_ms: int) -> None:
        """What single revisions said of windows long over, now and then: a run of any length takes the room of its cells."""
        self.newest_ms = max(self.newest_ms, min(start_ms, self.newest_ms + KEPT_MS) if self.newest_ms else start_ms)
        if self.newest_ms > self._forgotten_ms + 2 * KEPT_MS:
            self._forgotten_ms = self.newest_ms - KEPT_MS
            self.said = {key: said for key, said in self.said.items() if key[0][2] >= self._forgotten_ms}


class Watch:
    """Everything that has come out, taken in as it comes."""

    def __init__(self, bootstrap: str) -> None:
        self.audit, self.log, self.revisions, self.writers = Audit(), Log(), Revisions(), Writers()
        self.places: dict[str, int] = {}  # incident -> its partition
        self._followed: dict[bytes, dict[int, int]] = {}  # SLO group -> pane -> events counted so far
        self._reader = TopicReader(bootstrap, [*TOPICS, *RECORDS, PARTIALS], from_beginning=True)

    def poll(self, timeout_s: float = 0.05) -> int:
        """Take in what is there; how many messages."""
        found = self._reader.poll(2_000, timeout_s)
        for topic, partition, appended_ms, value in found:
            if topic == PARTIALS:
                batch = partial_of(value)
                self.writers.wrote(batch["partition"], partition, batch["as_of"], batch["now_ms"], appended_ms)
                for group, pane_ms, total in groups_of(batch):
                    if group in self._followed:
                        panes = self._followed[group]
                        panes[pane_ms] = max(panes.get(pane_ms, 0), total)
            elif topic not in TOPICS:
                record = codec.decode(value)
                self.log.apply(record)
                if isinstance(record, IncidentTransition):
                    self.places[record.incident_id] = partition
            else:
                self.audit.read(topic, value)
            if topic == "telemetry.rollups":
                for row in rows_of(value):
                    self.revisions.row(*row)
        return len(found)

    def follow(self, group: bytes) -> None:
        """Count the events of that SLO group, by its canonical definition, as they are taken in."""
        self._followed[group] = {}

    def counted(self, group: bytes) -> int:
        """How many events of that group have been taken in."""
        return sum(self._followed[group].values())

    def close(self) -> None:
        """Leave."""
        self._reader.close()


def rows_of(value: bytes) -> Iterator[tuple[Place, int, int, tuple[int, ...]]]:
    """(window, revision, flags, what is said) of each row of a rollup batch: count, sum, fingerprint, good, total, and a
    number that stands for the histogram."""
    batch: Any = fastavro.schemaless_reader(io.BytesIO(value[body(value) :]), ROLLUPS, None)
    cells = batch["cells"]
    rows = _rows(cells, ("pane_ms", "revision", "flags", "count", "sum_whole", "fingerprint", "good", "total"))
    for (definition, (start_ms, revision, flags, *said)), buckets in zip(rows, sketches(cells), strict=True):
        yield (batch["window_ms"], definition, start_ms), revision, flags, (*said, hash(buckets))


def partial_of(value: bytes) -> Any:
    """A partial batch."""
    return fastavro.schemaless_reader(io.BytesIO(value[body(value) :]), PARTIAL, None)


def groups_of(batch: Mapping[str, Any]) -> Iterator[tuple[bytes, int, int]]:
    """(definition, pane, events so far in that pane) of each row of a partial batch that is an SLO group's."""
    for definition, (pane_ms, flags, total) in _rows(batch["cells"], ("pane_ms", "flags", "total")):
        if flags & SLO and not flags & LATE:
            yield definition, pane_ms, total // FIXED


def _rows(cells: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[bytes, tuple[int, ...]]]:
    """Each row's definition and named columns."""
    columns = [np.frombuffer(cells[name], COLUMNS[name]).tolist() for name in names]
    begin = 0
    for end, *row in zip(np.frombuffer(cells["definition_end"], "<i4").tolist(), *columns, strict=True):
        yield cells["definition_bytes"][begin:end], tuple(row)
        begin = end


COLUMNS = {
    "pane_ms": "<i8", "revision": "<i4", "flags": "u1", "count": "<i8", "sum_whole": "<i8", "good": "<i8", "total": "<i8",
    "fingerprint": "<u8",
}  # fmt: skip


def unescape(line: bytes) -> bytes:
    r"""The bytes of a value that Kafka's own `Bytes.toString` wrote: printable ones as they are, the others as \xHH."""
    return line.decode("unicode_escape").encode("latin-1")


@dataclasses.dataclass(frozen=True, slots=True)
class Span:
    """So many records of a topic: of one partition from an offset on, or (-1) of all from their beginnings. `exactly`: not a
    record more may be looked at."""

    partition: int
    offset: int
    count: int
    exactly: bool = False

    @property
    def options(self) -> list[str]:
        """As the console consumer has them."""
        place = ["--partition", str(self.partition), "--offset", str(self.offset)]
        told = ["--from-beginning"] if self.partition < 0 else place
        return [*told, *(["--command-property", "max.poll.records=1"] if self.exactly else [])]


def spans(ends: Mapping[int, tuple[int, int]], without: Collection[tuple[int, int]] = ()) -> list[Span]:
    """What is to be read of a topic. `ends`: first and next offset by partition; `without`: places to step over."""
    if not without:
        return [Span(-1, 0, sum(high - low for low, high in ends.values()))]
    found = []
    for partition, (low, high) in sorted(ends.items()):
        begin = low
        for offset in sorted(offset for place, offset in without if place == partition):
            found.append(Span(partition, begin, offset - begin, exactly=True))
            begin = offset + 1
        found.append(Span(partition, begin, high - begin))
    return [span for span in found if span.count]


def ends_of(bootstrap: str, topic: str) -> dict[int, tuple[int, int]]:
    """First and next offset of each partition of a topic that is neither compacted nor transactional. Raises
    KafkaException."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "proof-count", "enable.auto.commit": False})
    places = consumer.list_topics(topic, timeout=ANSWER_S).topics[topic].partitions
    ends = {place: consumer.get_watermark_offsets(TopicPartition(topic, place), timeout=ANSWER_S) for place in places}
    consumer.close()
    return ends


def foreign(bootstrap: str, topic: str, without: Collection[tuple[int, int]] = ()) -> list[bytes]:
    """Every value of a topic that nobody writes to, read by Kafka's Java console consumer: it ends when it has seen as many
    as there are, and not when it has seen none for a while. `without`: (partition, offset) of records that are larger than
    any reader's memory. Raises CalledProcessError, KafkaException, TimeoutExpired."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        parts = [pool.submit(_read, bootstrap, topic, span) for span in spans(ends_of(bootstrap, topic), without)]
        return [value for part in parts for value in part.result()]


def _read(bootstrap: str, topic: str, span: Span) -> list[bytes]:
    jars = java.fetch(f"kafka-tools-{KAFKA_VERSION}", "tree", TOOLS)
    jars += java.fetch("kafka-log-binding", "one", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.5:jar:")
    classpath = ":".join(sorted({f"{jar.parent}/*" for jar in jars}))
    deserializer = "org.apache.kafka.common.serialization.BytesDeserializer"
    done = subprocess.run(
        [
            str(java.java()), "-Xmx256m", *java.BRIEF, "-Dlog4j2.level=OFF", "-cp", classpath, CONSUMER, "--bootstrap-server",
            bootstrap, "--topic", topic, *span.options, "--max-messages", str(max(1, span.count)), "--timeout-ms",
            str(IDLE_MS), "--formatter-property", f"value.deserializer={deserializer}",
        ],
        env=java.child_environment(), capture_output=True, timeout=FOREIGN_MAX_S, check=False,
    )  # fmt: skip
    if not done.stdout and done.returncode:
        raise subprocess.CalledProcessError(done.returncode, CONSUMER, done.stdout, done.stderr)
    return [unescape(line) for line in done.stdout.split(b"\n") if line]


def repeated(values: Iterable[bytes], sources: Collection[str]) -> int:
    """How many records of these sources lie in a raw log although the same batch lies there before."""
    seen, again = set(), 0
    for value in values:
        with contextlib.suppress(NotARecord):
            batch = read_batch(value)
            key = (batch.source, batch.boot, batch.sequence)
            again += batch.source in sources and key in seen
            seen.add(key)
    return again


def cells_in(values: Iterable[bytes], dedupe: bool = True) -> tuple[Cells, int]:
    """What a raw log holds, each batch once however often it lies there, and how many records are no batches
    of integers."""
    cells: dict[Any, Cell] = {}
    seen, unreadable = set(), 0
    for value in values:
        try:
            batch = read_batch(value)
            found = list(cells_of(batch))
        except (NotARecord, NotAnInteger):  # nobody's that keeps a ledger
            unreadable += 1
            continue
        key = (batch.source, batch.boot, batch.sequence)
        if key not in seen or not dedupe:
            seen.add(key)
            for place, cell in found:
                add(cells, place, cell)
    return cells, unreadable
