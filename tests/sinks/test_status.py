"""Status codes and Retry-After, in both of its forms."""

from __future__ import annotations

import pytest

from sinks import limits
from sinks.port import Category, Delivered, Failure, Rejected, Response, Retry
from sinks.status import outcome_of, retry_after_ms

NOW = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3_000),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "999999999999"}, limits.RETRY_AFTER_MS_MAX),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30_000),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:00 GMT"}, 0),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:00 GMT", "date": "Tue, 14 Nov 2023 22:13:55 GMT"}, 5_000),
        ({"retry-after": "Tue, 99 Nov 2023 22:14:00 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: int | None) -> None:
    assert retry_after_ms(headers, NOW) == expected


@pytest.mark.parametrize("status", range(100, 600))
def test_each_status_has_one_meaning(status: int) -> None:
    outcome = outcome_of(Response(status, {}, b"so it is", NOW))
    kind = Delivered if 200 <= status < 300 else Retry if status >= 500 or status in (408, 425, 429) else Rejected
    assert type(outcome) is kind
    assert "so it is" in outcome.detail


def test_a_failure_of_the_network_is_worth_another_try() -> None:
    assert outcome_of(Failure(Category.TLS, "expired")) == Retry(Category.TLS, "expired")
