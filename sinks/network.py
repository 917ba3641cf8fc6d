"""Network: HTTP or SMTP, by what is asked.

What: the exchange that a worker performs its deliveries through. Why: whatever a destination asks, there is one thing to
ask it. It refuses to know destinations.
"""

from __future__ import annotations

from sinks.delivery import HttpExchange
from sinks.port import Answer, Mail, Question
from sinks.smtp import SmtpExchange


class Network:
    """Both exchanges; closed by `close`."""

    def __init__(self) -> None:
        self._http, self._smtp = HttpExchange(), SmtpExchange()

    async def __call__(self, request: Question, timeout_s: float) -> Answer:
        """The answer of whoever was asked."""
        exchange = self._smtp if isinstance(request, Mail) else self._http
        return await exchange(request, timeout_s)

    async def close(self) -> None:
        """Close what is open."""
        await self._http.close()
