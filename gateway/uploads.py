"""`/v1/uploads`: many records in one upload that goes on where it broke off.

What: POST makes an upload; PATCH appends to it from an offset; HEAD asks how far it is; DELETE forgets it, as the IETF's
draft of resumable uploads has it. Records are judged and published while they come in, so the offset that we tell is the
end of the last record whose fate is known: acknowledged by Kafka, spooled, or rejected for good. A record's clocks of sending
are taken out: they are of when the upload was put together, and that may be days ago. Why: a vehicle with days in
its memory has minutes of a bad link, and must not begin anew after each cut. It refuses to hold an upload's bytes: what was
not acknowledged is with its sender.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import secrets
import time
from collections.abc import Callable
from typing import Final

from aiohttp import ClientError, web

from gateway.answers import as_json, put_off
from gateway.identity import Identity
from gateway.intake import Intake
from gateway.limits import (
    APPEND_BYTES,
    APPEND_GROUP_BYTES,
    APPEND_HELD_BYTES,
    APPEND_RECORDS,
    APPEND_S,
    UPLOAD_BYTES,
    UPLOAD_IDLE_S,
    UPLOADS,
    UPLOADS_EACH,
)
from gateway.memory import Budget, Share
from gateway.parts import LENGTH_BYTES
from gateway.refusal import Refusal, bad, too_large
from gateway.verdicts import REJECTED, RETRY, SPOOLED
from schemas.limits import RECORD_BYTES
from schemas.stamps import unsent

PATH: Final = "/v1/uploads"
EACH: Final = PATH + "/"
APPEND: Final = "application/partial-upload"
OFFSET, COMPLETE = "Upload-Offset", "Upload-Complete"
LIMIT: Final = f"max-size={UPLOAD_BYTES}, max-append-size={APPEND_BYTES}, max-age={int(UPLOAD_IDLE_S)}"
_OFFSET_DIGITS: Final = 15


@dataclasses.dataclass(slots=True)
class Upload:
    """One upload. `offset`: everything before it has come to its end."""

    tenant: str
    name: str  # of the credential
    used: float
    offset: int = 0
    complete: bool = False
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: {"stored": 0, "spooled": 0, "rejected": 0})
    under_way: asyncio.Task[None] | None = None

    def of(self, identity: Identity) -> bool:
        """Whether it belongs to these credentials."""
        return (self.tenant, self.name) == (identity.tenant, identity.name)

    def headers(self) -> dict[str, str]:
        """How far it is."""
        return {OFFSET: str(self.offset), COMPLETE: "?1" if self.complete else "?0", "Cache-Control": "no-store"}


class Uploads:
    """All uploads of this process; one that is not used for a day is forgotten. `now` in seconds."""

    def __init__(self, intake: Intake, budget: Budget, now: Callable[[], float] = time.monotonic) -> None:
        self._intake, self._budget, self._now = intake, budget, now
        self._known: dict[str, Upload] = {}  # the one that was used longest ago first

    async def begin(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """POST: a new one. Raises Refusal."""
        if request.body_exists:
            raise bad("upload", f"an upload begins without a body; append to it with PATCH and {APPEND}")
        self._intake.admit(identity, 0)
        self._forget_idle()
        if len(self._known) >= UPLOADS or sum(one.of(identity) for one in self._known.values()) >= UPLOADS_EACH:
            raise Refusal(429, "uploads", "there are as many uploads as may be; end one of them", int(APPEND_S))
        name = secrets.token_urlsafe(16)
        upload = self._known[name] = Upload(identity.tenant, identity.name, self._now())
        return web.Response(status=201, headers={**upload.headers(), "Location": EACH + name, "Upload-Limit": LIMIT})

    def _forget_idle(self) -> None:
        since = self._now() - UPLOAD_IDLE_S
        for name in [name for name, one in self._known.items() if one.used < since and one.under_way is None]:
            del self._known[name]

    async def use(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """HEAD, PATCH, DELETE of one. Raises Refusal."""
        name = request.path.removeprefix(EACH)
        upload = self._known.get(name)
        if upload is None or not upload.of(identity):
            raise Refusal(404, "upload", "there is no such upload, or no longer; begin a new one, repeats do no harm")
        if upload.under_way is not None:  # its connection broke, and we have not noticed: the new request is right
            upload.under_way.cancel()
            await asyncio.gather(upload.under_way, return_exceptions=True)
        upload.used = self._now()
        self._known[name] = self._known.pop(name)
        if request.method == "HEAD":
            return web.Response(status=204, headers={**upload.headers(), "Upload-Limit": LIMIT})
        if request.method == "DELETE":
            del self._known[name]
            return web.Response(status=204)
        return await self._append(request, identity, upload)

    async def _append(self, request: web.BaseRequest, identity: Identity, upload: Upload) -> web.StreamResponse:
        """PATCH. Raises Refusal; whatever happens, the offset is told."""
        last = _checked(request, upload)
        self._intake.admit(identity, request.content_length or 0)
        with Share(self._budget, identity.tenant) as share:
            share.grow(APPEND_HELD_BYTES)
            task = asyncio.create_task(self._take(request, identity, upload, last=last))
            upload.under_way = task
            try:
                await task
            except Refusal as refusal:
                refusal.headers = upload.headers()
                raise
            except asyncio.CancelledError:
                if not task.cancelled():
                    task.cancel()
                    raise
                raise Refusal(409, "superseded", "another request goes on with this upload") from None
            finally:
                upload.under_way = None
        answer = as_json(200, {"offset": upload.offset, "complete": upload.complete, **upload.counts})
        answer.headers.update(upload.headers())
        return answer

    async def _take(self, request: web.BaseRequest, identity: Identity, upload: Upload, *, last: bool) -> None:
        """Read records and have each group accepted before the next. Raises Refusal, ConnectionError."""
        held = bytearray()
        got = 0
        try:
            async with asyncio.timeout(APPEND_S):
                while part := await request.content.readany():
                    got += len(part)
                    if got > APPEND_BYTES or upload.offset + len(held) + len(part) > UPLOAD_BYTES:
                        raise too_large(f"an append has {APPEND_BYTES} bytes at most, an upload {UPLOAD_BYTES}")
                    held += part
                    if len(held) >= APPEND_GROUP_BYTES:
                        await self._accept(held, identity, upload)
        except TimeoutError:
            raise Refusal(408, "slow", f"an append may take {APPEND_S:.0f} s; go on from the offset", 1) from None
        except (web.RequestPayloadError, ClientError, ConnectionError) as error:
            with contextlib.suppress(Refusal):  # nobody is there to be told
                await self._accept(held, identity, upload)
            raise ConnectionResetError from error
        await self._accept(held, identity, upload)
        if last and held:
            raise bad("framing", f"the upload ends inside the record at byte {upload.offset}")
        upload.complete = last

    async def _accept(self, held: bytearray, identity: Identity, upload: Upload) -> None:
        """Take the whole records out of what is held, some at a time. Raises Refusal."""
        while records := _whole(held, upload.offset):
            verdicts = await self._intake.take(identity, map(unsent, records))
            for record, verdict in zip(records, verdicts, strict=True):
                if verdict.status == RETRY:
                    raise put_off([verdict])
                size = LENGTH_BYTES + len(record)
                upload.offset += size
                del held[:size]
                known = verdict.status if verdict.status in (REJECTED, SPOOLED) else "stored"
                upload.counts[known] += 1


def _checked(request: web.BaseRequest, upload: Upload) -> bool:
    """Whether this append is the last one. Raises Refusal."""
    if request.content_type != APPEND:
        raise Refusal(415, "content_type", f"{APPEND} is expected")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "encoding", "offsets count bytes as they are: no content encoding")
    text, complete = request.headers.get(OFFSET, ""), request.headers.get(COMPLETE, "")
    if not (text.isascii() and text.isdigit() and len(text) <= _OFFSET_DIGITS) or complete not in ("?0", "?1"):
        raise bad("upload", f"{OFFSET} with a number and {COMPLETE} with ?0 or ?1 are needed")
    refused = ""
    if int(text) != upload.offset:
        refused = f"the offset is {upload.offset}, not {int(text)}"
    elif upload.complete:
        refused = "the upload is complete"
    if refused:
        refusal = Refusal(409, "offset", refused)
        refusal.headers = upload.headers()
        raise refusal
    if (request.content_length or 0) > APPEND_BYTES:
        raise too_large(f"{request.content_length} bytes; the limit is {APPEND_BYTES}")
    return complete == "?1"


def _whole(held: bytearray, offset: int) -> list[bytes]:
    """The first whole records. Raises Refusal for a length that no record has."""
    found: list[bytes] = []
    at = 0
    while len(found) < APPEND_RECORDS and at + LENGTH_BYTES <= len(held):
        size = int.from_bytes(held[at : at + LENGTH_BYTES], "big")
        if size > RECORD_BYTES:
            if found:
                break
            raise bad("framing", f"the length {size} at byte {offset} is beyond that of any record")
        end = at + LENGTH_BYTES + size
        if end > len(held):
            break
        found.append(bytes(held[at + LENGTH_BYTES : end]))
        at = end
    return found
