"""Payloads: records that somebody hostile or broken may publish, as bytes.

What: poison (no record at all), hostile numbers and labels, more series than a worker keeps, and very many measurements. Why: what is sent is data and can be read in one place. It refuses to publish anything: `proof.nemesis`
does. None of it is in the ledger; it is judged apart, by metric.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from schemas.encoding import Producer as Who
from schemas.encoding import Resource, SeriesEntry, encode_batch
from schemas.records import SourceKind

HOSTILE, FLOOD = "proof.hostile", "proof.flood"
APART = frozenset({HOSTILE, FLOOD})  # metrics that the ledger does not know
HOSTILE_VALUES = (float("nan"), float("inf"), float("-inf"), 1.7e308, -1.7e308, 5e-324, 2.0**63, -0.0)
HOSTILE_LABELS = ("\0", "\u202eabc", "a" * 4_000, "", "\U0001f4a5", "x\n# HELP y", "{}", "null")
YEAR_9999_MS = 253_402_300_799_000
SERIES_A_BATCH = 500
BULK_ROWS = 4_096  # measurements: as many as a batch may have


def poison(good: bytes) -> tuple[bytes, ...]:
    """Twelve records that are none, most of them made of one that is."""
    return (
        b"not avro", b"", b"\xc3\x01", b"\xc3\x01" + bytes(8) + good[10:], good[:-3], good[:12], good + b"\0",
        good[:40] + bytes([good[40] ^ 255]) + good[41:], b"\x00\x00\x00\x00\x07" + good[10:],
        good[:10] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 9, b"\x28" * 100_000, bytes(64),
    )  # fmt: skip


def hostile(boot: str, now_ms: int) -> Iterator[bytes]:
    """Batches of one measurement each: numbers and labels that are hard to bear, now and in the year 9999."""
    resource, who = Resource(service="hostile", source_kind=SourceKind.WEB), Who("hostile", boot)
    for number, (value, label) in enumerate(zip(HOSTILE_VALUES, HOSTILE_LABELS, strict=True)):
        entries = [SeriesEntry(HOSTILE, labels={"of": label})]
        for step, (base_ms, measured) in enumerate(((now_ms, value), (YEAR_9999_MS, 1.0))):
            yield encode_batch(
                entries, resource, who, base_ms=base_ms, series=[0], delta_ms=[0], value=[measured],
                sequence=2 * number + step + 1,
            )  # fmt: skip


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


def bulk(source: str, boot: str, now_ms: int, count: int) -> Iterator[bytes]:
    """So many batches that are as large as they may be: all of one series, and good."""
    resource, entries = Resource(service=source, source_kind=SourceKind.WEB), [SeriesEntry("proof.bulk")]
    rows = np.arange(BULK_ROWS)
    for sequence in range(1, count + 1):
        yield encode_batch(
            entries, resource, Who(source, boot), base_ms=now_ms, series=np.zeros(BULK_ROWS), delta_ms=np.zeros(BULK_ROWS),
            value=rows, sequence=sequence,
        )  # fmt: skip
