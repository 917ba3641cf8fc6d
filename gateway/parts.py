"""Parts: a body to its records, by content type.

What: one framed record, several with their length in front, or JSON. Why: a client that catches up after days sends
hundreds of batches; one request for each would be all overhead. It refuses a body whose lengths do not add up as a
whole: from the first wrong length on nothing in it can be told apart.
"""

from __future__ import annotations

from typing import Final

from gateway.limits import RECORDS
from gateway.refusal import bad, too_large

ONE: Final = "application/vnd.tocsin.batch"
SEVERAL: Final = "application/vnd.tocsin.batches"
JSON: Final = frozenset({"application/json", "text/plain"})  # text/plain: what `sendBeacon` sends without a preflight
LENGTH_BYTES: Final = 4


def several(body: bytes) -> list[bytes]:
    """The records of a length-prefixed body (u32 big-endian before each), in order. Raises Refusal."""
    found: list[bytes] = []
    at = 0
    while at < len(body):
        start = at + LENGTH_BYTES
        if start > len(body):
            raise bad("framing", f"the body ends inside the length at byte {at}")
        size = int.from_bytes(body[at:start], "big")
        at = start + size
        if at > len(body):
            raise bad("framing", f"the length {size} at byte {start - LENGTH_BYTES} is beyond the end of the body")
        if len(found) == RECORDS:
            raise too_large(f"more than {RECORDS} records; send the rest in another request")
        found.append(body[start:at])
    return found


def joined(records: list[bytes]) -> bytes:
    """Inverse of `several`."""
    return b"".join(len(record).to_bytes(LENGTH_BYTES, "big") + record for record in records)
