"""Wire: the bodies that go to a gateway and come back from it.

What: framed batches to a request's body, an answer's body to a result for each batch, and the two forms of Retry-After.
Why: they are the contract with the gateway, and stand where they can be read and tested without a socket. It refuses to
guess: what is not a verdict leaves the fate of its batch unknown, and an unknown fate is a repetition, never a loss.
"""

from __future__ import annotations

import time
import zlib

from tocsin.errors import Rejected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GZIP = 31  # zlib's number for a gzip header around its largest window
LEVEL = 1  # columns of numbers: the next level costs twice the time for 2 % fewer bytes
REASON_CHARS = 64
DONE = frozenset({"stored", "duplicate", "spooled"})  # spooled: on the gateway's disk, synced


def body(values: Sequence[bytes]) -> bytes:
    """Each batch behind its length (u32, big-endian), all of it gzipped."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP)
    parts = [packer.compress(part) for value in values for part in (len(value).to_bytes(4, "big"), value)]
    return b"".join((*parts, packer.flush()))


def verdicts(text: bytes, count: int) -> list[Exception | None]:
    """A result for each of so many batches: None stored, Rejected never again, another error unknown.

    Raises ValueError when the answer does not have one verdict for each.
    """
    import json

    answer = json.loads(text)
    found = answer.get("verdicts") if isinstance(answer, dict) else None
    if not isinstance(found, list) or len(found) != count:
        raise ValueError(f"an answer without {count} verdicts")
    return [_verdict(one) for one in found]


def _verdict(one: object) -> Exception | None:
    status = one.get("status") if isinstance(one, dict) else None
    reason = str(one.get("reason") or "")[:REASON_CHARS] if isinstance(one, dict) else ""
    if status in DONE:
        return None
    if status == "rejected":
        return Rejected(reason or "rejected")
    return ConnectionError(f"{status}: {reason}")


def retry_after(header: str | None) -> float:
    """Seconds to wait: a number of them, or the time of a date from now; 0 when there is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
