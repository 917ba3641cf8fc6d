"""What a client reads: counts, verdicts, and when to come again."""

from __future__ import annotations

import json

import pytest

from gateway.answers import refusal_answer, verdicts_answer
from gateway.refusal import Refusal, bad, busy
from gateway.verdicts import DUPLICATE, STORED, Verdict, rejected, retry

GOOD, AGAIN, BAD, LATER = Verdict(STORED), Verdict(DUPLICATE), rejected("crc", "x", 7), retry("quota", "y", 4)


def test_counts_and_order():
    answer = verdicts_answer([GOOD, BAD, AGAIN, LATER])
    assert (answer.status, answer.headers["Retry-After"]) == (200, "4")
    assert json.loads(answer.body) == {
        "stored": 2, "rejected": 1, "retry": 1,
        "verdicts": [
            {"status": "stored"},
            {"status": "rejected", "reason": "crc", "detail": "x", "byte": 7},
            {"status": "duplicate"},
            {"status": "retry", "reason": "quota", "detail": "y", "byte": -1},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(("later", "status"), [(LATER, 429), (retry("shed", "z", 2), 503)])
def test_when_nothing_was_done_the_status_says_so(later, status):
    with pytest.raises(Refusal) as caught:
        verdicts_answer([later, later])
    assert (caught.value.status, caught.value.retry_after_s) == (status, later.retry_after_s)
    assert verdicts_answer([later, BAD]).status == 200


def test_an_empty_body_is_fine():
    assert json.loads(verdicts_answer([]).body)["stored"] == 0


def test_refusals():
    assert "Retry-After" not in refusal_answer(bad("json", "x")).headers
    assert refusal_answer(busy("broker", "x", 0)).headers["Retry-After"] == "1", "never at once"
