"""Refusal: why a whole request is not taken, as an HTTP status, a word and a sentence.

What: the one exception that a request's steps raise on purpose. Why: a client must know from the status whether the
same request can succeed later (408, 429, 503, with Retry-After) or never (the others), whichever protocol it speaks.
It refuses to carry anything that came with the request's credentials.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Statuses after which the same request may succeed.
LATER = frozenset({408, 429, 502, 503, 504})


class Refusal(Exception):
    """This request is not taken. `retry_after_s` is in whole seconds from now, 0 where trying again cannot help."""

    def __init__(self, status: int, reason: str, detail: str, retry_after_s: int = 0) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers: Mapping[str, str] = {}  # of the answer, beside those that every refusal has
        self.retry_after_s = max(retry_after_s, 1) if status in LATER else 0

    def __reduce__(self) -> tuple[type[Refusal], tuple[int, str, str, int]]:
        """It may come out of another process."""
        return Refusal, (self.status, self.reason, self.detail, self.retry_after_s)


def bad(reason: str, detail: str) -> Refusal:
    """400: the request itself is wrong."""
    return Refusal(400, reason, detail)


def too_large(detail: str) -> Refusal:
    """413: a limit of gateway.limits."""
    return Refusal(413, "size", detail)


def busy(reason: str, detail: str, retry_after_s: int = 1) -> Refusal:
    """503: not now."""
    return Refusal(503, reason, detail, retry_after_s)
