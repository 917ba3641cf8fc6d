"""Payloads: records that somebody hostile or broken may publish, as bytes.

What: poison (no record at all), hostile numbers and labels, more series than a worker keeps, and very many measurements. Why: what is sent is data and can be read in one place. It refuses to publish anything: `proof.nemesis`
does. None of it is in the ledger; it is judged apart, by metric.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from schemas.encoding import Producer as Who
from schemas.encoding import Resource, SeriesEntry, encode_batch
from schemas.records import MeasureKind, SourceKind

HOSTILE, FLOOD, POISON = "proof.hostile", "proof.flood", "proof.poison"
APART = frozenset({HOSTILE, FLOOD, POISON})  # metrics that the ledger does not know
COUNTED, FUTURE = "", "future"  # fates of a record: it is counted, or it is put aside or refused for that reason
#: What becomes of one that has this value, or this text as a label, and is good otherwise; words as in schemas/corrupt.py.
HOSTILE_VALUES = {
    float("nan"): "value", float("inf"): "value", float("-inf"): "value", 1.7e308: "value", -1.7e308: "value",
    5e-324: COUNTED, 2.0**63: "value", -0.0: COUNTED, 2.0**43: "value", -(2.0**43) + 1: COUNTED,
}  # fmt: skip
HOSTILE_TEXTS = {
    b"\0": COUNTED, "\u202eabc".encode(): COUNTED, b"a" * 4_000: "size", b"": COUNTED, "\U0001f4a5".encode(): COUNTED,
    b"x\n# HELP y": COUNTED, b"{}": COUNTED, b"null": COUNTED, b"\xff\xfe": "utf8", b"\xed\xa0\x80": "utf8",
    b"ab\xc3": "utf8",
}  # fmt: skip
PLAIN = b"plain"
YEAR_9999_MS = 253_402_300_799_000
SERIES_A_BATCH = 500
BULK_ROWS = 4_096  # measurements: as many as a batch may have


def poison(boot: str, now_ms: int) -> list[tuple[bytes, str]]:
    """Twelve records that are none, most of them made of one that is, and why each is refused: words of schemas/corrupt.py."""
    good = outcomes("poison", boot, now_ms, 3, good=True, metric=POISON)
    name, values = good[:10], b"\0\0\0\0\0\0\xf0?"  # which schema it is; each value is 1.0
    return [
        (b"not avro", "framing"), (b"", "framing"), (b"\xc3\x01", "framing"), (bytes(64), "unknown_schema"),
        (b"\x28" * 100_000, "framing"), (b"\xc3\x01" + bytes(8) + good[10:], "unknown_schema"),
        (b"\0" + (7).to_bytes(4, "big") + good[10:], "unknown_schema"), (good[:-3], "length"), (good[:12], "length"),
        (good + b"\0", "trailing"), (name + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 9, "length"),
        (good.replace(values, values[:-2] + b"\xf1?", 1), "crc"),
    ]  # fmt: skip


class Trap:
    """What makes a file of that path when somebody unpickles it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path(self._path),)  # type: ignore[return-value]


def trap(path: Path) -> bytes:
    """A pickle that makes a file when it is read as one: Faust's `pickle` codec would."""
    return pickle.dumps(Trap(path))


def hostile(boot: str, now_ms: int) -> Iterator[tuple[bytes, str]]:
    """Batches of one measurement each, with numbers, labels and times that are hard to bear, and the fate of each."""
    resource, who = Resource(service="hostile", source_kind=SourceKind.WEB), Who("hostile", boot)
    wanted = [
        *((value, PLAIN, now_ms, fate) for value, fate in HOSTILE_VALUES.items()),
        *((1.0, text, now_ms, fate) for text, fate in HOSTILE_TEXTS.items()),
        (1.0, PLAIN, YEAR_9999_MS, FUTURE), (1.0, PLAIN, -1, "time"),
    ]  # fmt: skip
    for sequence, (value, text, base_ms, fate) in enumerate(wanted, 1):
        stand_in = "@" * len(text)  # a writer of text writes no bytes that are none
        made = encode_batch(
            [SeriesEntry(HOSTILE, labels={"of": stand_in})], resource, who, base_ms=base_ms, series=[0], delta_ms=[0],
            value=[value], sequence=sequence,
        )  # fmt: skip
        at = made.index(b"\x04of")  # the label's name
        yield made[:at] + made[at:].replace(stand_in.encode(), text, 1) if text else made, fate


def flood(boot: str, now_ms: int, count: int) -> Iterator[bytes]:
    """So many series of one metric, each with one measurement, and each with another value of a label."""
    resource, who = Resource(service="flood", source_kind=SourceKind.WEB), Who("flood", boot)
    for sequence, begin in enumerate(range(0, count, SERIES_A_BATCH), 1):
        size = min(SERIES_A_BATCH, count - begin)
        entries = [SeriesEntry(FLOOD, labels={"request": f"{begin + number:08x}"}) for number in range(size)]
        yield encode_batch(
            entries, resource, who, base_ms=now_ms, series=np.arange(size), delta_ms=np.zeros(size),
            value=np.ones(size), sequence=sequence,
        )  # fmt: skip


def outcomes(source: str, boot: str, at_ms: int, count: int, good: bool, metric: str = "http.request") -> bytes:
    """One batch of requests of a service of that name, all within ten seconds from then on, all good or all bad."""
    resource = Resource(service=source, source_kind=SourceKind.WEB)
    return encode_batch(
        [SeriesEntry(metric, MeasureKind.OUTCOME)], resource, Who(source, boot), base_ms=at_ms,
        series=np.zeros(count), delta_ms=np.arange(count) % 10_000, value=np.ones(count),
        outcome=np.full(count, int(good)), sequence=1,
    )  # fmt: skip


def bulk(source: str, boot: str, now_ms: int, count: int) -> Iterator[bytes]:
    """So many batches that are as large as they may be: all of one series, and good."""
    resource, entries = Resource(service=source, source_kind=SourceKind.WEB), [SeriesEntry("proof.bulk")]
    rows = np.arange(BULK_ROWS)
    for sequence in range(1, count + 1):
        yield encode_batch(
            entries, resource, Who(source, boot), base_ms=now_ms, series=np.zeros(BULK_ROWS), delta_ms=np.zeros(BULK_ROWS),
            value=rows, sequence=sequence,
        )  # fmt: skip
