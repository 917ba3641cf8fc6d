"""Saved: an adapter's memory as bytes, and back.

What: JSON in a checked, compressed block. Why: what an adapter remembers is a small table a vehicle, and a snapshot that a
person can read explains a merge. It refuses what it did not write: CorruptState.
"""

from __future__ import annotations

import json

from fleet.adapter import Adapter
from fleet.memory import Seen, Vehicle
from rollups.packing import CorruptState, compress, decompress, pack, unpack

_FORM = "fleet 1"


def snapshot(adapter: Adapter, fence: int) -> bytes:
    """All that decides what the next record becomes, true as of `fence`."""
    # One by one: rows of all vehicles at once are a million lists, and the collector would take longer than the writing.
    vehicles = ", ".join(
        f"{json.dumps(source)}: {json.dumps(_row(vehicle))}" for source, vehicle in adapter.vehicles.by_source.items()
    )
    rest = {
        "known": {of: sorted(texts) for of, texts in adapter.known.texts.items()},
        "forgotten": adapter.vehicles.forgotten,
    }
    text = f'{{"vehicles": {{{vehicles}}}, {json.dumps(rest)[1:]}'
    return pack({"form": _FORM, "fence": str(fence)}, {}, [compress(text.encode())])


def restore(adapter: Adapter, data: bytes) -> int:
    """Inverse of `snapshot`; the fence. Raises CorruptState."""
    found = unpack(data)
    if found.meta.get("form") != _FORM:
        raise CorruptState(f"a snapshot of {found.meta.get('form')!r}, {_FORM!r} is read")
    (block,) = found.frozen
    state = json.loads(decompress(block))
    adapter.vehicles.by_source = {source: _vehicle(row) for source, row in state["vehicles"].items()}
    adapter.vehicles.forgotten = state["forgotten"]
    adapter.known.texts = {of: set(texts) for of, texts in state["known"].items()}
    return int(found.meta["fence"])


def _row(one: Vehicle) -> list[object]:
    seen = [[mark, f"{bits:x}"] for mark, bits in one.seen.marks.items()]
    newest = [[signal, *pair] for signal, pair in one.newest.items()]
    about = [[signal, *pair] for signal, pair in one.about.items()]
    return [one.born, one.records, one.last, seen, newest, about, one.connection, one.since_ms, one.open]


def _vehicle(row: list) -> Vehicle:  # type: ignore[type-arg]  # of JSON that we wrote and that was checked
    born, records, last, seen, newest, about, *link = row
    return Vehicle(
        born,
        records,
        last,
        Seen({mark: int(bits, 16) for mark, bits in seen}),
        {signal: (at, kept) for signal, at, kept in newest},
        {signal: (at, text) for signal, at, text in about},
        *link,
    )
