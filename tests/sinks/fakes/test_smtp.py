"""The fake mail server, asked by the standard library's client: it is one, and fails as told."""

from __future__ import annotations

import smtplib

import pytest

from sinks.fakes.smtp import MailFault, SmtpFake

MESSAGE = "Subject: x\r\nMessage-ID: <1@x>\r\n\r\nbody"


def send(server: SmtpFake, *recipients: str, message: str = MESSAGE) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=5) as client:
        return client.sendmail("t@x", recipients, message)


def test_mailboxes_and_threads() -> None:
    with SmtpFake("a@x", "b@x") as server:
        assert send(server, "a@x", "c@x") == {"c@x": (550, b"5.1.1 no such user")}
        send(server, "a@x")
        send(server, "a@x", message="Message-ID: <2@x>\r\nReferences: <1@x>\r\n\r\n")
        assert len(server.mailboxes["a@x"]) == 3
        assert [len(thread) for thread in server.threads("a@x").values()] == [2]
        assert server.mailboxes["b@x"] == []
        assert [transaction.taken for transaction in server.transactions] == [("a@x",)] * 3


def test_greylisting_is_over_when_one_comes_again() -> None:
    with SmtpFake("a@x") as server:
        server.greylisted.add("a@x")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server, "a@x")
        send(server, "a@x")


@pytest.mark.parametrize("taking", [False, True])
def test_faults_come_in_order_and_then_end(taking: bool) -> None:
    with SmtpFake("a@x") as server:
        server.fails(
            MailFault("sender"), MailFault("recipient", "450 later"), MailFault(taking=taking), MailFault(reply="")
        )
        with pytest.raises(smtplib.SMTPSenderRefused):
            send(server, "a@x")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server, "a@x")
        with pytest.raises(smtplib.SMTPDataError):
            send(server, "a@x")
        with pytest.raises(smtplib.SMTPServerDisconnected):
            send(server, "a@x")
        assert len(server.mailboxes["a@x"]) == taking
        send(server, "a@x")
        assert [transaction.reply[:3] for transaction in server.transactions] == ["451", "", "250"]


def test_who_may_send() -> None:
    with SmtpFake("a@x", login=("u", "p")) as server:
        with smtplib.SMTP("127.0.0.1", server.port, timeout=5) as client:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("u", "q")
            client.login("u", "p")
            client.sendmail("t@x", ["a@x"], MESSAGE)
        server.senders_refused.add("t@x")
        with pytest.raises(smtplib.SMTPException):
            send(server, "a@x")
