"""Body: a request's bytes, read and unfolded within every bound.

What: the declared length is judged before a byte is read, the read bytes while they come, the unfolded ones while they
unfold; what has come is held in the request's share of memory. Why: a body is the most that a stranger can make us hold.
It refuses with 413, 415, 408 or 503, and never reads on after that.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway import selfmetrics
from gateway.connection import Connection
from gateway.limits import BODY_BYTES, BODY_S, FRAMING_BYTES, UNFOLDED_BYTES
from gateway.memory import Share
from gateway.refusal import Refusal, bad, too_large
from gateway.unfold import known, unfolded

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


async def body_of(
    request: web.BaseRequest, share: Share, *, limit: int = UNFOLDED_BYTES, encoding: str = "", within_s: float = BODY_S
) -> bytes:
    """The unfolded body. `encoding`: where a protocol fixes it, whatever the header says. Raises Refusal."""
    encoding = known(encoding or request.headers.get("Content-Encoding", ""))
    declared = request.content_length
    if declared is not None and declared > BODY_BYTES:
        raise too_large(f"{declared} bytes; the limit is {BODY_BYTES}")
    if declared:
        share.room(declared)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(_CONTINUE)
        request.writer.output_size = 0  # the answer itself has not begun
    try:
        async with asyncio.timeout(within_s):
            data = await _read(request, share)
    except TimeoutError:
        raise Refusal(408, "slow", f"the body took more than {within_s:.0f} s", 1) from None
    except web.RequestPayloadError as error:
        raise bad("body", "the body is broken") from error
    selfmetrics.BYTES.labels("wire").inc(len(data))
    plain = await unfolded(data, encoding, limit)
    if not encoding:
        return plain
    share.grow(len(plain))
    selfmetrics.BYTES.labels("unfolded").inc(len(plain))
    return plain


async def _read(request: web.BaseRequest, share: Share) -> bytes:
    """All bytes, held from when they come: who declares a megabyte and never sends it holds nothing."""
    parts: list[bytes] = []
    size = 0
    while part := await request.content.readany():
        parts.append(part)
        size += len(part)
        if size > BODY_BYTES:
            raise too_large(f"more than {BODY_BYTES} bytes")
        if isinstance(request.protocol, Connection) and request.protocol.beyond > FRAMING_BYTES:
            raise too_large(f"{size} bytes in so many chunks that their frames are more than {FRAMING_BYTES}")
        share.grow(len(part))
    return b"".join(parts)
