"""Packing: named texts and arrays to bytes and back, for the snapshots of this room.

What: zstd over a JSON head and raw little-endian columns. Why: rings are mostly zeros or slowly changing counts, so
they shrink well, and arrays need no copy of their numbers to text. It refuses what does not fit its head exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import cramjam
import numpy as np
from numpy.typing import NDArray

FORMAT = "tocsin-alerts-1"
Array = NDArray[np.generic]


class CorruptSnapshot(ValueError):
    """The snapshot is damaged or of another format."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"snapshot refused: {detail}")


def pack(texts: Mapping[str, str], arrays: Mapping[str, Array]) -> bytes:
    """Bytes of texts and arrays by name; the same input gives the same bytes."""
    heads: list[list[str]] = []
    blobs: list[bytes] = []
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        heads.append([name, array.dtype.str, ",".join(str(size) for size in array.shape)])
        blobs.append(array.tobytes())
    head = json.dumps({"format": FORMAT, "texts": dict(sorted(texts.items())), "arrays": heads}).encode()
    return bytes(cramjam.zstd.compress(b"".join([len(head).to_bytes(4, "little"), head, *blobs]), 3))


def unpack(data: bytes) -> tuple[dict[str, str], dict[str, Array]]:
    """Inverse of `pack`. Raises CorruptSnapshot."""
    try:
        plain = bytes(cramjam.zstd.decompress(data))
        start = 4 + int.from_bytes(plain[:4], "little")
        head = cast("dict[str, object]", json.loads(plain[4:start]))
        if head["format"] != FORMAT:
            raise CorruptSnapshot(f"format {head['format']!r}")
        texts = cast("dict[str, str]", head["texts"])
        arrays: dict[str, Array] = {}
        for name, dtype, shape in cast("list[list[str]]", head["arrays"]):
            sizes = tuple(int(size) for size in shape.split(",") if size)
            count = int(np.prod(sizes, dtype=np.int64))
            arrays[name] = np.frombuffer(plain, np.dtype(dtype), count, start).reshape(sizes)
            start += arrays[name].nbytes
    except (
        cramjam.DecompressionError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        MemoryError,
    ) as error:
        raise error if isinstance(error, CorruptSnapshot) else CorruptSnapshot(str(error)) from error
    if start != len(plain):
        raise CorruptSnapshot(f"{len(plain) - start} bytes are left over")
    return texts, arrays
