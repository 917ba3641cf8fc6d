"""Snapshots of an Aggregate: all of its state as bytes, and back.

What: `snapshot(aggregate)` and `restore(aggregate, data)`; a restored aggregate behaves as the one that was written,
for ever after. Why one block: state may lag behind its outputs (they are idempotent), so a whole snapshot each few
seconds plus a replay from its fence is all that recovery needs; series definitions are compressed once and reused. It
refuses bytes of another version, partition, number of targets, histogram scale or fingerprint switch: CorruptState.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from rollups.aggregate import Aggregate
from rollups.intake import REASONS, LateRow
from rollups.packing import CorruptState, pack, unpack
from rollups.skew import WORDS as SKEWS
from schemas.cells import ALL_COLUMNS, Cells, Column

VERSION = "3"
_COUNTERS = ("fence", "aggregated", "late", "evicted", "overflowed")
_INTAKE = ("skipped", "accepted", "append_ms")
_LATE = ("offset", "reason", "rows", "event_ms", "skew_ms")

Families = dict[str, dict[str, Column]]


def snapshot(aggregate: Aggregate) -> bytes:
    """Bytes of the whole state as of `aggregate.fence`. The aggregate may be used on."""
    columns: dict[str, Column] = {}
    frozen: list[bytes] = []
    for kind, series in enumerate(aggregate.registry.kinds):
        blocks = series.frozen()
        _put(columns, f"series/{kind}", series.columns())
        _put(columns, f"series/{kind}", {"frozen": _integers([count for count, _ in blocks])})
        frozen += [block for _, block in blocks]
    panes = sorted(aggregate.panes.items())
    _put(columns, "pane", {"kind": _integers([kind for (kind, _), _ in panes])})
    _put(columns, "pane", {"start_ms": _integers([start_ms for (_, start_ms), _ in panes])})
    _put(columns, "pane", {"provisional_ms": _integers([pane.provisional_ms for _, pane in panes])})
    for number, (_, pane) in enumerate(panes):
        _put(columns, f"pane/{number}", pane.columns())
    for number, cells in enumerate(aggregate.outbox):
        _put(columns, f"outbox/{number}", {name: getattr(cells, name) for name in ALL_COLUMNS})
    _put(columns, "feeds", aggregate.registry.feeds.columns())
    _put(columns, "dedupe", aggregate.intake.dedupe.columns())
    _put(columns, "slo", aggregate.slo.columns())
    _put(columns, "claims", aggregate.claims.columns())
    _put(columns, "scalars", _scalars(aggregate))
    return pack({"feeds_version": aggregate.feeds_version} | _shape(aggregate), columns, frozen)


def _shape(aggregate: Aggregate) -> dict[str, str]:
    """What a snapshot must agree on with the aggregate that reads it."""
    return {
        "version": VERSION,
        "partition": f"{aggregate.partition} of {aggregate.partitions}",
        "scale": str(aggregate.limits.histogram_scale),
        "fingerprint": str(aggregate.fingerprint),
    }


def _scalars(aggregate: Aggregate) -> dict[str, Column]:
    """Everything that is not a column already, as columns of integers."""
    intake, registry = aggregate.intake, aggregate.registry
    late = [(row.offset, REASONS.index(row.reason), row.rows, row.event_ms, row.skew_ms) for row in intake.late]
    numbers = {
        "counters": [getattr(aggregate, name) for name in _COUNTERS],
        "intake": [getattr(intake, name) for name in _INTAKE],
        "forgotten": [intake.dedupe.forgotten],
        "registry": [registry.append_ms, registry.overflowed],
        "closed": aggregate.closed,
        "heard_ms": aggregate.heard_ms,
        "outbox": [len(aggregate.outbox)],
        "dropped": [aggregate.dropped[reason] for reason in REASONS],
        "skewed": [intake.skewed[word] for word in SKEWS],
        "pending_dropped": [intake.dropped[reason] for reason in REASONS],
    }
    numbers |= {f"late_{name}": [row[at] for row in late] for at, name in enumerate(_LATE)}
    numbers |= {f"watermark_{name}": values for name, values in intake.watermarks.state().items()}
    return {name: _integers(values) for name, values in numbers.items()}


def _integers(values: list[int]) -> Column:
    return np.array(values, np.int64)


def _put(columns: dict[str, Column], prefix: str, more: Mapping[str, Column]) -> None:
    columns.update({f"{prefix}/{name}": column for name, column in more.items()})


def _families(columns: Mapping[str, Column]) -> Families:
    """Columns by prefix."""
    families: Families = {}
    for name, column in columns.items():
        prefix, _, rest = name.rpartition("/")
        families.setdefault(prefix, {})[rest] = column
    return families


def restore(aggregate: Aggregate, data: bytes) -> None:
    """Load a snapshot into a new aggregate of the same shape. Raises CorruptState, and then the aggregate is void.

    With another `feeds_version` the feeds of every series are asked for again (10 us a series); groups that exist no
    more keep their cells until these expire.
    """
    found = unpack(data)
    here, there = _shape(aggregate), {name: found.meta.get(name) for name in _shape(aggregate)}
    if here != there:
        raise CorruptState(f"the snapshot is of {there}, this is {here}")
    try:
        families = _families(found.columns)
        _load_registry(aggregate, families, found.frozen)
        _load_scalars(aggregate, families["scalars"])
        _load_cells(aggregate, families)
    except (KeyError, IndexError, ValueError) as error:
        raise CorruptState(f"{type(error).__name__}: {error}") from error
    if found.meta["feeds_version"] != aggregate.feeds_version:
        aggregate.registry.refeed()


def _load_registry(aggregate: Aggregate, families: Families, frozen: list[bytes]) -> None:
    blocks = iter(frozen)
    for kind, series in enumerate(aggregate.registry.kinds):
        columns = families[f"series/{kind}"]
        series.load(columns, [(count, next(blocks, b"")) for count in columns["frozen"].tolist()])
    aggregate.registry.reindex()
    aggregate.registry.feeds.load(families["feeds"])


def _load_scalars(aggregate: Aggregate, columns: dict[str, Column]) -> None:
    numbers: dict[str, list[int]] = {name: column.tolist() for name, column in columns.items()}
    for name, value in zip(_COUNTERS, numbers["counters"], strict=True):
        setattr(aggregate, name, value)
    for name, value in zip(_INTAKE, numbers["intake"], strict=True):
        setattr(aggregate.intake, name, value)
    (aggregate.intake.dedupe.forgotten,) = numbers["forgotten"]
    aggregate.registry.append_ms, aggregate.registry.overflowed = numbers["registry"]
    aggregate.closed, aggregate.heard_ms = numbers["closed"], numbers["heard_ms"]
    aggregate.dropped = Counter(dict(zip(REASONS, numbers["dropped"], strict=True)))
    aggregate.intake.dropped = Counter(dict(zip(REASONS, numbers["pending_dropped"], strict=True)))
    aggregate.intake.skewed = Counter(dict(zip(SKEWS, numbers.get("skewed", [0] * len(SKEWS)), strict=True)))
    numbers.setdefault("late_skew_ms", [0] * len(numbers["late_offset"]))  # of a snapshot from before there was skew
    late = zip(*(numbers[f"late_{name}"] for name in _LATE), strict=True)
    aggregate.intake.late = [LateRow(offset, REASONS[reason], *rest) for offset, reason, *rest in late]
    prefix = "watermark_"
    marks = {name.removeprefix(prefix): values for name, values in numbers.items() if name.startswith(prefix)}
    aggregate.intake.watermarks.load(marks)


def _load_cells(aggregate: Aggregate, families: Families) -> None:
    panes = families["pane"]
    keys = zip(*(panes[name].tolist() for name in ("kind", "start_ms", "provisional_ms")), strict=True)
    for number, (kind, start_ms, provisional_ms) in enumerate(keys):
        pane = aggregate.panes[kind, start_ms] = aggregate.open_pane(kind, start_ms)
        pane.provisional_ms = provisional_ms
        pane.load(families[f"pane/{number}"], aggregate.registry.kinds[kind].size)
    for number in range(int(families["scalars"]["outbox"].tolist()[0])):
        columns = families[f"outbox/{number}"]
        aggregate.outbox.append(Cells.of(len(columns["series"]), **columns))
    aggregate.intake.dedupe.load(families["dedupe"])
    aggregate.slo.load(families["slo"])
    aggregate.claims.load(families["claims"])
