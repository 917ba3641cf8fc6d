"""For schemathesis: what it made up, as the bytes of a body in a form that it has no writer for."""

from __future__ import annotations

import json

import schemathesis

from gateway import parts
from gateway.openapi import PROTOBUF
from gateway.uploads import APPEND


@schemathesis.serializer(APPEND, PROTOBUF, parts.ONE, parts.SEVERAL)
def as_bytes(context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()
