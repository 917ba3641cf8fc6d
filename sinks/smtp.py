"""SMTP: performs one mail transaction. Beside `delivery`, the only file of this room that does anything.

What: connect, encrypt, log in, hand over a message, and what the server said in the end, within one absolute deadline.
Why step by step: before the message's last byte nothing can have been taken, and a failure there is no doubt; and each
recipient has an answer of its own. It refuses to go on unencrypted where that was not asked for, and to keep a connection.
"""

from __future__ import annotations

import asyncio
import dataclasses
import ssl

import aiosmtplib

from sinks.port import Answer, Category, Failure, Mail, Question, Reply


@dataclasses.dataclass(slots=True)
class _Progress:
    """How far a transaction came. `sending`: the message is on its way, and may be taken."""

    step: str = "greeting"
    sending: bool = False


class SmtpExchange:
    """Transactions over aiosmtplib, a connection for each. `context`: whom to trust, the system's list if not given."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context

    async def __call__(self, request: Question, timeout_s: float) -> Answer:
        """What the server said, or why it said nothing, within `timeout_s`."""
        assert isinstance(request, Mail)
        progress = _Progress()
        client = self._client(request)
        try:
            async with asyncio.timeout(timeout_s):
                return await _transaction(client, request, progress)
        except TimeoutError:
            text = f"no answer at the {progress.step} within {timeout_s:g} s"
            return Failure(Category.TIMEOUT, text, sure=not progress.sending)
        except aiosmtplib.SMTPResponseException as error:
            return Reply(progress.step, error.code, error.message, {})
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return _failure(error, progress)
        finally:
            client.close()

    def _client(self, mail: Mail) -> aiosmtplib.SMTP:
        if self._context is None and mail.security != "none":
            self._context = ssl.create_default_context()
        return aiosmtplib.SMTP(
            hostname=mail.host,
            port=mail.port,
            local_hostname=mail.hello,
            use_tls=mail.security == "tls",
            start_tls=False,
            tls_context=self._context if mail.security != "none" else None,
            timeout=None,
        )


async def _transaction(client: aiosmtplib.SMTP, mail: Mail, progress: _Progress) -> Reply:
    await client.connect()
    await client.ehlo()
    if mail.security == "starttls":
        progress.step = "encryption"
        await client.starttls()
        await client.ehlo()
    if mail.username:
        progress.step = "login"
        await client.login(mail.username, mail.password)
    progress.step = "sender"
    await client.mail(mail.sender)
    progress.step = "recipients"
    refused: dict[str, tuple[int, str]] = {}
    for recipient in mail.recipients:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            refused[recipient] = error.code, error.message
    if len(refused) == len(mail.recipients):
        code, text = next(iter(refused.values()))
        return Reply(progress.step, code, text, refused)
    progress.step, progress.sending = "data", True
    try:
        reply = await client.data(mail.message)
    except aiosmtplib.SMTPDataError as error:
        return Reply(progress.step, error.code, error.message, refused)
    if isinstance(client.transport, asyncio.WriteTransport):
        client.transport.write(
            b"QUIT\r\n"
        )  # its answer would change nothing: who waits for it can only lose the one it has
    return Reply(progress.step, reply.code, reply.message, refused)


def _failure(error: Exception, progress: _Progress) -> Failure:
    """Why the server said nothing that could be read."""
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) and error.__cause__ else error
    text = f"{type(cause).__name__} at the {progress.step}"
    if isinstance(cause, ssl.SSLError):
        return Failure(Category.TLS, f"{text} ({getattr(cause, 'verify_message', '') or cause.reason})", sure=True)
    if isinstance(cause, aiosmtplib.SMTPServerDisconnected):
        return Failure(Category.BROKEN, f"the server hung up at the {progress.step}", sure=not progress.sending)
    if progress.step == "encryption" and not isinstance(error, OSError):
        return Failure(Category.TLS, "the server offers no STARTTLS, and nothing is sent in the clear", sure=True)
    if progress.step == "login" and not isinstance(error, OSError):
        return Failure(Category.MISCONFIGURED, "the server offers no login that we know", sure=True)
    if isinstance(error, aiosmtplib.SMTPConnectError):
        reason = getattr(cause, "strerror", None)
        return Failure(Category.UNREACHABLE, f"{text}{f' ({reason})' if reason else ''}", sure=True)
    return Failure(Category.BROKEN, text, sure=not progress.sending)
