"""Status: what an HTTP answer means, for destinations that keep to HTTP's own rules.

What: status code and Retry-After to an outcome. Why: 408, 425, 429 and 5xx are worth another try and no other refusal is
(PagerDuty's Events API and Alertmanager's webhook agree). It refuses to follow redirects: a page goes where it was
configured to go.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping

from sinks import limits
from sinks.port import Answer, Category, Delivered, Failure, Outcome, Rejected, Response, Retry, said

_AGAIN = {408: Category.TIMEOUT, 425: Category.RATE_LIMITED, 429: Category.RATE_LIMITED}


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int | None:
    """Retry-After in ms from `now_ms`, at most RETRY_AFTER_MS_MAX; None when it is absent or unreadable.

    Both forms of RFC 9110: seconds, or a date. A date is held against the receiver's own Date header when there is one,
    so that two clocks that differ do no harm.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:9]) * 1000, limits.RETRY_AFTER_MS_MAX)
    until, now = _date_ms(value), _date_ms(headers.get("date", ""))
    if until is None:
        return None
    return min(max(0, until - (now_ms if now is None else now)), limits.RETRY_AFTER_MS_MAX)


def _date_ms(value: str) -> int | None:
    try:
        return int(email.utils.parsedate_to_datetime(value).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def outcome_of(answer: Answer) -> Outcome:
    """2xx delivered; 408, 425, 429, 5xx and failures of the network again; every other answer never."""
    if isinstance(answer, Failure):
        return Retry(answer.category, answer.detail, sure=answer.sure)
    assert isinstance(answer, Response)
    text = f"HTTP {answer.status} {said(answer.body)}".rstrip()
    if 200 <= answer.status < 300:
        return Delivered(text)
    if answer.status in _AGAIN or answer.status >= 500:
        category = _AGAIN.get(answer.status, Category.SERVER_ERROR)
        return Retry(category, text, retry_after_ms(answer.headers, answer.at_ms))
    if 300 <= answer.status < 400:
        return Rejected(Category.REDIRECTED, f"{text} (redirects are not followed; configure the final address)")
    return Rejected(Category.REFUSED, text)
