"""Whatever is asked is asked of the right one."""

from __future__ import annotations

from sinks.fakes.slack import SlackFake
from sinks.fakes.smtp import SmtpFake
from sinks.network import Network
from sinks.port import Mail, Reply, Request, Response


async def test_http_and_smtp() -> None:
    network = Network()
    with SlackFake("t") as slack, SmtpFake("a@x") as mail:
        assert isinstance(await network(Request("POST", slack.url, {}, b""), 5.0), Response)
        letter = Mail("127.0.0.1", mail.port, "none", "x", "", "", "t@x", ("a@x",), b"Subject: x\r\n\r\n")
        assert isinstance(await network(letter, 5.0), Reply)
    await network.close()
