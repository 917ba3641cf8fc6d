"""Plain: what a value in a JSON body may be, each refused with its place.

What: objects with known fields only, texts, whole numbers, finite numbers, ids in hexadecimal; and the resource, which
measurements and log records share. Why: whoever writes JSON by hand must read what is wrong and where, in one form for
both. It refuses fields that it does not know, so that a typing error is seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gateway.limits import DETAIL_CHARS
from schemas.encoding import Resource
from schemas.records import SOURCE_KINDS, SourceKind

SEQUENCE_BOUND: Final = 2**63
_RESOURCE: Final = frozenset({"service", "version", "environment", "region", "source_kind", "attributes"})

Plain = Mapping[str, object]


class Wrong(Exception):
    """A value that may not be: where, and what is wrong"""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}"[:DETAIL_CHARS])


def mapping(found: object, place: str, known: frozenset[str]) -> Plain:
    """An object with no other fields than these. Raises Wrong."""
    if not isinstance(found, dict):
        raise Wrong(place, "an object is expected")
    unknown = found.keys() - known
    if unknown:
        raise Wrong(place, f"there is no field {min(unknown)[:40]!r}")
    return found


def text(found: Plain, name: str, place: str, default: str = "") -> str:
    """Raises Wrong."""
    value = found.get(name, default)
    if not isinstance(value, str):
        raise Wrong(f"{place}.{name}", "text is expected")
    return value


def texts(found: Plain, name: str, place: str) -> dict[str, str]:
    """Raises Wrong."""
    value = found.get(name, {})
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise Wrong(f"{place}.{name}", "an object of texts is expected")
    return value


def whole(found: Plain, name: str, place: str, bound: int, default: int | None = None) -> int:
    """From 0 to below `bound`, or the default. Raises Wrong."""
    value = found.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not (0 <= value < bound or value == default):
        raise Wrong(f"{place}.{name}", f"a whole number from 0 to {bound - 1} is expected")
    return value


def number(found: Plain, name: str, place: str) -> float:
    """Raises Wrong."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(float(value)):
        raise Wrong(f"{place}.{name}", "a finite number is expected")
    return float(value)


def identifier(found: Plain, name: str, place: str, size: int) -> bytes:
    """An id of so many bytes, or none. Raises Wrong."""
    try:
        value = bytes.fromhex(text(found, name, place))
    except ValueError:
        value = b"?"
    if len(value) not in (0, size):
        raise Wrong(f"{place}.{name}", f"{2 * size} hexadecimal digits are expected")
    return value


def resource_of(batch: Plain) -> Resource:
    """Its resource. Raises Wrong."""
    found = mapping(batch.get("resource", {}), "resource", _RESOURCE)
    kind = text(found, "source_kind", "resource", "other")
    if kind not in SOURCE_KINDS:
        raise Wrong("resource.source_kind", f"one of {', '.join(SOURCE_KINDS)} is expected")
    return Resource(
        service=text(found, "service", "resource"),
        version=text(found, "version", "resource"),
        environment=text(found, "environment", "resource"),
        region=text(found, "region", "resource"),
        source_kind=SourceKind(SOURCE_KINDS.index(kind)),
        attributes=texts(found, "attributes", "resource"),
    )
