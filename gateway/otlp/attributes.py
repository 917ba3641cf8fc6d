"""Attributes: OTLP's typed values as labels, and its resource as ours.

What: every value as text (numbers and booleans as JSON writes them, lists and maps as JSON); the resource's service,
version, environment, region and kind of source where we have a place for them, the rest as free attributes. Why: a label
is text here, and the same value must always be the same text. It refuses to look at more attributes than anybody could
have meant; other limits are judged by the caller.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Final

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from gateway.foreign import Unfit
from gateway.identity import Identity
from gateway.limits import OTLP_ATTRIBUTES, VALUE_ITEMS
from schemas import limits
from schemas.encoding import Resource
from schemas.records import SOURCE_KINDS, SourceKind

ENVIRONMENT: Final = ("deployment.environment.name", "deployment.environment")
KIND: Final = "tocsin.source_kind"
_PLACES: Final = frozenset({"service.name", "service.version", "cloud.region", KIND, *ENVIRONMENT})
_DEPTH: Final = 8
NAMELESS: Final = "the resource names no source: set service.instance.id or service.name"


@dataclasses.dataclass(frozen=True, slots=True)
class Owner:
    """A resource's attributes and source; `fault`: why nothing of it can be taken, or empty."""

    texts: dict[str, str]
    source: str
    fault: str


def text_of(value: AnyValue) -> str:
    """A value as a label's text. Of a list or map with too many items the text is cut, and still too long to be taken."""
    plain = _plain(value, 0, iter(range(VALUE_ITEMS)))
    return plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _plain(value: AnyValue, depth: int, left: Iterator[int]) -> object:
    which = value.WhichOneof("value")
    if which is None or depth > _DEPTH:
        return ""
    if which == "array_value":
        return [_plain(item, depth + 1, left) for item, _ in zip(value.array_value.values, left, strict=False)]
    if which == "kvlist_value":
        pairs = zip(value.kvlist_value.values, left, strict=False)
        return {pair.key: _plain(pair.value, depth + 1, left) for pair, _ in pairs}
    found = getattr(value, which)
    return found.hex() if isinstance(found, bytes) else found


def texts_of(pairs: Sequence[KeyValue]) -> dict[str, str]:
    """Attributes as labels; of a key that comes twice, the last. Raises Unfit."""
    if len(pairs) > OTLP_ATTRIBUTES:
        raise Unfit(f"more than {OTLP_ATTRIBUTES} attributes")
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


def owner_of(pairs: Sequence[KeyValue], identity: Identity) -> Owner:
    """Whose a resource is: the identity's own source, or under its prefix what the resource calls itself."""
    try:
        texts = texts_of(pairs)
    except Unfit as no:
        return Owner({}, "", f"the resource: {no}")
    source = identity.named(texts.get("service.instance.id") or texts.get("service.name", ""))
    return Owner(texts, source, "" if source else NAMELESS)
