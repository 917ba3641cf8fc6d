"""Attributes: OTLP's typed values as labels, and its resource as ours.

What: every value as text (numbers and booleans as JSON writes them, lists and maps as JSON); the resource's service,
version, environment, region and kind of source where we have a place for them, the rest as free attributes. Why: a label
is text here, and the same value must always be the same text. It refuses nothing: limits are judged by the caller.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from gateway.identity import Identity
from schemas import limits
from schemas.encoding import Resource
from schemas.records import SOURCE_KINDS, SourceKind

ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")
KIND: Final = "tocsin.source_kind"
_PLACES: Final = frozenset({"service.name", "service.version", "cloud.region", KIND, *ENVIRONMENT})
_DEPTH: Final = 8


def text_of(value: AnyValue) -> str:
    """A value as a label's text."""
    plain = _plain(value, 0)
    return plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _plain(value: AnyValue, depth: int) -> object:
    which = value.WhichOneof("value")
    if which is None or depth > _DEPTH:
        return ""
    if which == "array_value":
        return [_plain(item, depth + 1) for item in value.array_value.values]
    if which == "kvlist_value":
        return {pair.key: _plain(pair.value, depth + 1) for pair in value.kvlist_value.values}
    found = getattr(value, which)
    return found.hex() if isinstance(found, bytes) else found


def texts_of(pairs: Iterable[KeyValue]) -> dict[str, str]:
    """Attributes as labels; of a key that comes twice, the last."""
    return {pair.key: text_of(pair.value) for pair in pairs}


def resource_of(found: dict[str, str]) -> Resource:
    """Our resource; what is too long for a place is cut, and free attributes beyond the limits are left out."""
    kind = found.get(KIND, "web" if found.get("telemetry.sdk.language") == "webjs" else "other")
    free = {
        key: value[: limits.LABEL_VALUE_CHARS]
        for key, value in sorted(found.items())
        if key not in _PLACES and len(key) <= limits.LABEL_KEY_CHARS
    }
    most = limits.LABEL_VALUE_CHARS
    return Resource(
        service=found.get("service.name", "")[:most],
        version=found.get("service.version", "")[:most],
        environment=next((found[key] for key in ENVIRONMENT if key in found), "")[:most],
        region=found.get("cloud.region", "")[:most],
        source_kind=SourceKind(SOURCE_KINDS.index(kind)) if kind in SOURCE_KINDS else SourceKind.OTHER,
        attributes=dict(list(free.items())[: limits.ATTRIBUTES]),
    )


def source_of(found: dict[str, str], identity: Identity) -> str:
    """The source: the identity's own, or under its prefix what the resource calls itself; "" when there is none."""
    return identity.named(found.get("service.instance.id") or found.get("service.name", ""))
