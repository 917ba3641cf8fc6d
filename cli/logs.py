"""`tocsin logs`: log records and events of the last minutes, and those that come.

What: the records of the topic `logs` since a time, by service, severity and event, each once however often it was sent; and a
line where a service's version or rollout is a new one. Why: a page names a service, and its log is what on-call reads next.
It refuses to join a group, and to show a repeat: source, boot and sequence name each batch.
"""

from __future__ import annotations

import collections
import heapq
import re
import time
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from rich.text import Text

from cli import output, reading
from cli.output import OK, PROBLEM, USAGE, Stop, labels_text, time_text
from cli.reading import Log, Message
from schemas.bundled import released
from schemas.corrupt import UNKNOWN_SCHEMA, CorruptRecord
from schemas.framing import WriterSchemas
from schemas.logs import LOGS, SEVERITIES, LogBatch, LogRecord, read_logs, severity_name

TOPIC: Final = "logs"
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
SEEN: Final = 1 << 16  # batches that are remembered, to know a repeat
SERVICES: Final = 1 << 12  # whose versions are remembered
STYLES: Final = {"warn": "yellow", "error": "bold red", "fatal": "bold red", "debug": "dim", "trace": "dim"}


class Line(NamedTuple):
    """One record to be shown. The first four order it."""

    at_ms: int
    partition: int
    offset: int
    place: int
    batch: LogBatch
    record: LogRecord


class Wanted(NamedTuple):
    """What to show: empty and 0 are all."""

    service: str = ""
    severity: int = 0
    event: str = ""

    def fits(self, batch: LogBatch, record: LogRecord) -> bool:
        """Whether it is asked for."""
        return (
            self.service in ("", batch.resource.service)
            and record.severity >= self.severity
            and self.event in ("", record.event)
        )


class Reader:
    """Messages to lines. `unreadable` and `repeats` count what is not shown."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._writers = WriterSchemas([*released(), LOGS])
        self._seen: collections.OrderedDict[tuple[str, str, int], None] = collections.OrderedDict()
        self.unreadable = self.repeats = 0

    def lines(self, messages: Iterable[Message]) -> Iterator[Line]:
        """In the order of the log."""
        for message in messages:
            try:
                batch = self._batch(message.value or b"")
            except CorruptRecord:
                self.unreadable += 1
                continue
            if self._repeated(batch):
                self.repeats += 1
                continue
            for place, record in enumerate(batch.records):
                if self._wanted.fits(batch, record):
                    yield Line(record.at_ms, message.partition, message.offset, place, batch, record)

    def _batch(self, value: bytes) -> LogBatch:
        writer, at = self._writers.of(value)
        if writer.name != LOGS.name:
            raise CorruptRecord(UNKNOWN_SCHEMA, 1, f"{writer.name} is no batch of logs")
        return read_logs(writer, value, at)

    def _repeated(self, batch: LogBatch) -> bool:
        if batch.sequence < 0:
            return False
        key = (batch.source, batch.boot, batch.sequence)
        known = key in self._seen
        self._seen[key] = None
        self._seen.move_to_end(key)
        if len(self._seen) > SEEN:
            self._seen.popitem(last=False)
        return known


class Versions:
    """Which version and rollout of each service were seen."""

    def __init__(self) -> None:
        self._known: dict[str, set[tuple[str, str]]] = {}

    def news(self, batch: LogBatch) -> str:
        """What is new about the service of this batch; "" for nothing."""
        now = (batch.resource.version, batch.resource.attributes.get("rollout", ""))
        if len(self._known) >= SERVICES:
            self._known.clear()
        known = self._known.setdefault(batch.resource.service, set())
        first, new = not known, now not in known
        known.add(now)
        if first or not new or not any(now):
            return ""
        rollout = f", rollout {now[1]}" if now[1] else ""
        return f"{batch.resource.service or batch.source} is now version {now[0] or 'unknown'}{rollout}"


def run(bootstrap: str, wanted: Wanted, *, since: str, count: int, follow: bool, json: bool) -> int:
    """Exit code: 1 when a record could not be read. `count`: the newest so many of the past; 0: all, as they came."""
    start_ms = time.time_ns() // 1_000_000 - span_ms(since)
    reader, versions = Reader(wanted), Versions()
    log = reading.opened(bootstrap)
    try:
        for line in found(log, reader, start_ms, count, follow=follow):
            news = "" if json else versions.news(line.batch)
            if news:
                output.say(Text(f"-- {news} --", style="bold"))
            show(line, json=json)
    finally:
        log.close()
    if reader.unreadable:
        output.note(f"{reader.unreadable} records could not be read")
    return PROBLEM if reader.unreadable else OK


def found(log: Log, reader: Reader, start_ms: int, count: int, *, follow: bool) -> Iterator[Line]:
    """Lines of the past, in the order of their times where they are counted, then those that come."""
    starts = log.since(TOPIC, start_ms)
    ends = {partition: high for partition, (_, high) in log.bounds(TOPIC).items()}
    past = reader.lines(log.read(TOPIC, starts, ends))
    yield from sorted(heapq.nlargest(count, past, key=_order), key=_order) if count else past
    if follow:
        yield from reader.lines(log.read(TOPIC, ends, None))


def _order(line: Line) -> tuple[int, int, int, int]:
    return line[:4]


def show(line: Line, *, json: bool) -> None:
    """Print one record."""
    batch, record = line.batch, line.record
    name = severity_name(record.severity)
    if json:
        output.as_json({
            "time_ms": record.at_ms, "severity": name, "severity_number": record.severity,
            "service": batch.resource.service, "version": batch.resource.version, "source": batch.source,
            "boot": batch.boot, "sequence": batch.sequence, "place": line.place, "event": record.event,
            "body": record.body, "attributes": dict(record.attributes), "trace_id": record.trace_id.hex(),
            "span_id": record.span_id.hex(), "left_out": record.left_out,
        })  # fmt: skip
        return
    told = [
        record.event,
        record.body.strip(),
        labels_text(record.attributes),
        f"trace={record.trace_id.hex()}" if record.trace_id else "",
    ]
    where = f"{batch.resource.service or '-'}/{batch.source}"
    head = Text(f"{name or '-':5} ", style=STYLES.get(name, ""))
    output.say(f"{time_text(record.at_ms)} ", head, f"{where} {' '.join(filter(None, told))}")


def span_ms(text: str) -> int:
    """10m, 90s, 6h, 3d as milliseconds. Raises Stop."""
    matched = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if matched is None:
        raise Stop(USAGE, f"--since {text!r} is no length of time", "", "such as 90s, 10m, 6h or 3d")
    return int(matched[1]) * UNITS[matched[2]] * 1_000


def least(severity: str) -> int:
    """The least number of a severity; 0 for any. Raises Stop."""
    if severity and severity.lower() not in SEVERITIES:
        raise Stop(USAGE, f"there is no severity {severity!r}", "", f"one of {', '.join(SEVERITIES)}")
    return SEVERITIES.get(severity.lower(), 0)
