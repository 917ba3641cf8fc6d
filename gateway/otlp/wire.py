"""Wire: OTLP's messages as protobuf and as JSON, in and out.

What: an export request out of a body, a response and a google.rpc.Status into one, each in the request's own content type.
Why: OTLP has two encodings of one message and its JSON is not protobuf's own (ids are hexadecimal). It refuses with 400
what is neither, and ignores fields that it does not know, as the specification asks.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from gateway.limits import DETAIL_CHARS
from gateway.refusal import Refusal, bad

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
KINDS: Final = frozenset({PROTOBUF, JSON})

Form = TypeVar("Form", bound=Message)

#: HTTP status -> code of google.rpc.Status.
_CODES: Final[Mapping[int, int]] = {
    400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14
}  # fmt: skip
_UNKNOWN: Final = 2
_IDS: Final = frozenset({"traceId", "spanId"})


def message_of(body: bytes, kind: str, form: type[Form]) -> Form:
    """The message of that form. Raises Refusal."""
    found: Form = form()
    try:
        if kind == PROTOBUF:
            found.ParseFromString(body)
        else:
            plain = _with_base64_ids(json.loads(body))
            if not isinstance(plain, dict):
                raise TypeError("an object is expected")
            json_format.ParseDict(plain, found, ignore_unknown_fields=True)
    except (DecodeError, json_format.ParseError, ValueError, RecursionError, TypeError, AttributeError) as error:
        raise bad("otlp", f"not an {form.__name__}: {type(error).__name__}"[:DETAIL_CHARS]) from error
    return found


def as_protobuf(body: bytes, form: type[Message]) -> Iterator[bytes]:
    """A message in JSON as protobuf. Raises Refusal."""
    yield bytes(message_of(body, JSON, form).SerializeToString())


def _with_base64_ids(value: object) -> object:
    """OTLP's JSON with ids as protobuf's JSON has bytes. Raises ValueError."""
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(item)).decode()
        if key in _IDS and isinstance(item, str)
        else _with_base64_ids(item)
        for key, item in value.items()
    }


def encoded(found: Message, kind: str) -> bytes:
    """A message, in the content type of the request."""
    if kind == PROTOBUF:
        return bytes(found.SerializeToString())
    return str(json_format.MessageToJson(found, indent=None)).encode()


def status(refusal: Refusal, kind: str) -> bytes:
    """A google.rpc.Status: code (1) and message (2)."""
    code, message = _CODES.get(refusal.status, _UNKNOWN), f"{refusal.reason}: {refusal.detail}"
    if kind != PROTOBUF:
        return json.dumps({"code": code, "message": message}).encode()
    text = message.encode()
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
