"""Mail transactions with a real server: encryption or nothing, logins, silence, and whether there is a doubt."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import time
from pathlib import Path

import pytest

from sinks.fakes.smtp import MailFault, SmtpFake
from sinks.port import Answer, Category, Failure, Mail, Reply
from sinks.smtp import SmtpExchange
from tests.gateway.test_certificate import Authority

ADA = "ada@example.com"
MESSAGE = b"Subject: x\r\n\r\n.\r\nbody\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "ca")


@pytest.fixture(scope="module")
def certified(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("mail"))
    return context


@pytest.fixture(scope="module")
def trusting(authority: Authority) -> SmtpExchange:
    path: Path = authority.path
    return SmtpExchange(ssl.create_default_context(cafile=str(path)))


def mail(port: int, security: str = "none", **other: str) -> Mail:
    found = Mail("127.0.0.1", port, security, "example.com", "", "", "t@example.com", (ADA,), MESSAGE)
    return dataclasses.replace(found, **other)  # type: ignore[arg-type]


def failure(answer: Answer) -> tuple[Category, bool]:
    assert isinstance(answer, Failure), answer
    return answer.category, answer.sure


def reply(answer: Answer) -> tuple[str, int]:
    assert isinstance(answer, Reply), answer
    return answer.step, answer.code


async def test_a_message_arrives_as_it_was(trusting: SmtpExchange) -> None:
    with SmtpFake(ADA) as server:
        assert await trusting(mail(server.port), 5.0) == Reply("data", 250, "2.0.0 queued", {})
        assert server.mailboxes[ADA][0].get_content() == ".\r\nbody\r\n"
        assert server.encrypted == 0


@pytest.mark.parametrize("implicit", [False, True])
async def test_encrypted_and_logged_in(certified: ssl.SSLContext, trusting: SmtpExchange, implicit: bool) -> None:
    security = "tls" if implicit else "starttls"
    with SmtpFake(ADA, tls=certified, implicit=implicit, login=("u", "p")) as server:
        assert reply(await trusting(mail(server.port, security, username="u", password="p"), 5.0)) == ("data", 250)
        assert server.encrypted == 1
        assert reply(await trusting(mail(server.port, security, username="u", password="q"), 5.0)) == ("login", 535)
        assert reply(await trusting(mail(server.port, security), 5.0))[1] == 530
        assert len(server.mailboxes[ADA]) == 1


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_nobody_vouches_for(certified: ssl.SSLContext, implicit: bool) -> None:
    with SmtpFake(ADA, tls=certified, implicit=implicit) as server:
        answer = await SmtpExchange()(mail(server.port, "tls" if implicit else "starttls"), 5.0)
        assert failure(answer) == (Category.TLS, True)
        assert server.mailboxes[ADA] == []


async def test_nothing_is_sent_in_the_clear_where_that_was_not_asked_for(trusting: SmtpExchange) -> None:
    with SmtpFake(ADA) as server:
        answer = await trusting(mail(server.port, "starttls", username="u", password="p"), 5.0)
        assert failure(answer) == (Category.TLS, True)
        assert failure(await trusting(mail(server.port, "tls"), 5.0))[1]
        assert not server.transactions


async def test_a_server_without_logins(trusting: SmtpExchange) -> None:
    with SmtpFake(ADA) as server:
        answer = await trusting(mail(server.port, username="u", password="p"), 5.0)
        assert failure(answer) == (Category.MISCONFIGURED, True)


async def test_a_message_that_is_too_large(trusting: SmtpExchange) -> None:
    with SmtpFake(ADA, size_max=10) as server:
        assert reply(await trusting(mail(server.port), 5.0)) == ("data", 552)


async def test_it_takes_its_leave_and_waits_for_no_answer(trusting: SmtpExchange) -> None:
    heard: list[bytes] = []
    left = asyncio.Event()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 x\r\n")
        while line := await reader.readline():
            heard.append(line)
            if line == b"DATA\r\n":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            if line != b"QUIT\r\n":
                writer.write(b"250 ok\r\n")
        writer.close()
        left.set()

    async with await asyncio.start_server(behave, "127.0.0.1", 0) as server:
        assert reply(await trusting(mail(server.sockets[0].getsockname()[1]), 5.0)) == ("data", 250)
        async with asyncio.timeout(5):
            await left.wait()
    assert heard[-1] == b"QUIT\r\n"


async def test_one_answer_for_each_recipient(trusting: SmtpExchange) -> None:
    with SmtpFake(ADA) as server:
        both = dataclasses.replace(mail(server.port), recipients=(ADA, "eve@example.com"))
        answer = await trusting(both, 5.0)
        assert isinstance(answer, Reply)
        assert (answer.code, answer.refused) == (250, {"eve@example.com": (550, "5.1.1 no such user")})


@pytest.mark.parametrize(("step", "sure"), [("sender", True), ("recipient", True), ("data", False)])
async def test_silence_ends_at_the_deadline(trusting: SmtpExchange, step: str, sure: bool) -> None:
    with SmtpFake(ADA) as server:
        server.fails(MailFault(step, delay_s=60))
        began = time.monotonic()
        assert failure(await trusting(mail(server.port), 0.5)) == (Category.TIMEOUT, sure)
        assert time.monotonic() - began < 3


@pytest.fixture
def closed() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


async def test_nobody_listens(trusting: SmtpExchange, closed: int) -> None:
    assert failure(await trusting(mail(closed), 5.0)) == (Category.UNREACHABLE, True)
    nobody = dataclasses.replace(mail(closed), host="nobody.invalid")
    assert failure(await trusting(nobody, 5.0)) == (Category.UNREACHABLE, True)


@pytest.mark.parametrize(
    ("greeting", "expected"),
    [
        (b"", (Category.BROKEN, True)),
        (b"SSH-2.0-x\r\n", None),
        (b"x" * 70_000 + b"\r\n", None),
        (b"554 go away\r\n", None),
    ],
)
async def test_who_is_no_mail_server(
    trusting: SmtpExchange, greeting: bytes, expected: tuple[Category, bool] | None
) -> None:
    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    async with await asyncio.start_server(behave, "127.0.0.1", 0) as server:
        answer = await trusting(mail(server.sockets[0].getsockname()[1]), 5.0)
    if expected is None:
        assert isinstance(answer, Reply) or failure(answer)[1]
    else:
        assert failure(answer) == expected
