"""A mail server for tests: real SMTP, with mailboxes, greylisting, logins, and failures on request.

What: aiosmtpd's protocol with a memory behind it. Why mailboxes: whether a repeat doubles a message is decided by what
lies in them, and by what they know a repeat by. It refuses to relay: who has no mailbox is unknown.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import email
import email.policy
import ssl
import threading
import time
from email.message import EmailMessage
from typing import Any, Self

from sinks import limits


@dataclasses.dataclass(frozen=True, slots=True)
class MailFault:
    """What happens at one step (sender, recipient, data) instead of an answer.

    `reply` empty: the connection is closed. `taking`: the message is taken first, at data only. `delay_s`: before whatever
    is answered.
    """

    step: str = "data"
    reply: str = "451 4.3.0 as scripted"
    taking: bool = False
    delay_s: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Transaction:
    """One message as it came to the server. `reply`: what it was answered, empty when it was not; `taken`: for whom."""

    at_ms: int
    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    reply: str
    taken: tuple[str, ...]


class SmtpFake:
    """The server; a context manager. `mailboxes`: messages by recipient, in order; `greylisted`: deferred at first sight.

    `login`: user and password that it demands; `tls`: a certificate's context for STARTTLS, or from the first byte.
    """

    def __init__(
        self,
        *recipients: str,
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        size_max: int = 1 << 20,
    ) -> None:
        self.mailboxes: dict[str, list[EmailMessage]] = {recipient: [] for recipient in recipients}
        self.greylisted: set[str] = set()
        self.transactions: collections.deque[Transaction] = collections.deque(maxlen=limits.FAKE_ARRIVALS_MAX)
        self.senders_refused: set[str] = set()
        self.encrypted = 0  # transactions over TLS
        self._faults: collections.deque[MailFault] = collections.deque()
        self._lock = threading.Lock()
        self._login, self._tls, self._implicit, self._size_max = login, tls, implicit, size_max
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended = asyncio.Event()
        self.port = 0  # on 127.0.0.1, once it serves

    def fails(self, *faults: MailFault) -> None:
        """The next times that these steps are reached, they fail so, in order."""
        with self._lock:
            self._faults.extend(faults)

    def threads(self, recipient: str) -> dict[str, list[EmailMessage]]:
        """What a mail program shows: each message once by its id, in the thread of the first that it refers to."""
        found: dict[str, list[EmailMessage]] = {}
        seen: set[str] = set()
        for message in self.mailboxes[recipient]:
            if message["Message-ID"] not in seen:
                seen.add(message["Message-ID"])
                first = (message["References"] or message["Message-ID"]).split()[0]
                found.setdefault(first, []).append(message)
        return found

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), name="smtp", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self, ready: threading.Event) -> None:
        from aiosmtpd.smtp import SMTP

        self._loop = asyncio.get_running_loop()
        starttls = None if self._implicit else self._tls

        def conversation() -> asyncio.Protocol:
            found: asyncio.Protocol = SMTP(
                self,
                loop=self._loop,
                hostname="mail.example",
                data_size_limit=self._size_max,
                tls_context=starttls,
                require_starttls=starttls is not None,
                auth_require_tls=self._login is None or starttls is not None,
                authenticator=self._authenticate if self._login else None,
            )
            return found

        server = await self._loop.create_server(conversation, "127.0.0.1", 0, ssl=self._tls if self._implicit else None)
        self.port = int(server.sockets[0].getsockname()[1])
        ready.set()
        await self._ended.wait()
        server.close()

    def _authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> Any:
        from aiosmtpd.smtp import AuthResult

        sent = (given.login.decode(), given.password.decode())
        return AuthResult(success=sent == self._login, handled=False)

    # -- what the protocol asks at each step; the names are its own

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """The sender."""
        fault = await self._met("sender", server)
        if fault is not None:
            return fault.reply
        if self._login and not session.authenticated:
            return "530 5.7.0 log in first"
        if address in self.senders_refused:
            return "550 5.7.1 not allowed to send from this address"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        """One recipient."""
        fault = await self._met("recipient", server)
        if fault is not None:
            return fault.reply
        if address not in self.mailboxes:
            return "550 5.1.1 no such user"
        if address in self.greylisted:
            self.greylisted.discard(address)
            return "450 4.7.1 greylisted, come again"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """The message: into each mailbox, unless it is to fail."""
        fault = self._next("data")
        taken = tuple(envelope.rcpt_tos) if fault is None or fault.taking else ()
        reply = "250 2.0.0 queued" if fault is None else fault.reply
        message = email.message_from_bytes(envelope.content, _class=EmailMessage, policy=email.policy.default)
        with self._lock:
            self.encrypted += session.ssl is not None or self._implicit
            for recipient in taken:
                self.mailboxes[recipient].append(message)
            at_ms, recipients = time.time_ns() // 1_000_000, tuple(envelope.rcpt_tos)
            self.transactions.append(Transaction(at_ms, envelope.mail_from, recipients, message, reply, taken))
        if fault is not None:
            await _suffer(fault, server)
        return reply

    def _next(self, step: str) -> MailFault | None:
        with self._lock:
            if self._faults and self._faults[0].step == step:
                return self._faults.popleft()
        return None

    async def _met(self, step: str, server: Any) -> MailFault | None:
        fault = self._next(step)
        if fault is not None:
            await _suffer(fault, server)
        return fault


async def _suffer(fault: MailFault, server: Any) -> None:
    await asyncio.sleep(fault.delay_s)
    if not fault.reply:
        server.transport.abort()
        await asyncio.sleep(3600)  # the protocol cancels its conversation once the connection is gone
