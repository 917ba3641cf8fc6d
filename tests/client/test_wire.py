"""Wire: bodies and answers; what is not a verdict leaves a fate unknown."""

from __future__ import annotations

import gzip
import json
import time
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tocsin import Rejected
from tocsin.wire import body, retry_after, verdicts


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_a_body_is_each_batch_behind_its_length(values: list[bytes]) -> None:
    raw, found = gzip.decompress(body(values)), []
    while raw:
        size = int.from_bytes(raw[:4], "big")
        found.append(raw[4 : 4 + size])
        raw = raw[4 + size :]
    assert found == values


def test_verdicts_by_their_meaning() -> None:
    told = [
        {"status": "stored"},
        {"status": "duplicate"},
        {"status": "spooled"},
        {"status": "rejected", "reason": "schema"},
        {"status": "retry", "reason": "later"},
        {"status": "news"},
        "?",
        None,
    ]
    results = verdicts(json.dumps({"verdicts": told}).encode(), len(told))
    assert results[:3] == [None, None, None]
    assert isinstance(results[3], Rejected)
    assert str(results[3]) == "schema"
    assert all(isinstance(result, ConnectionError) for result in results[4:])


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[]", b'{"verdicts": []}', b'{"verdicts": {}}', b"<html>", b"\xff", b'{"verdicts": 1}']
)
def test_an_answer_without_a_verdict_for_each_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        verdicts(text, 2)


def test_retry_after_has_two_forms() -> None:
    assert retry_after("7") == 7.0
    assert 50 < retry_after(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert retry_after(formatdate(time.time() - 60, usegmt=True)) == 0.0
    for nonsense in (None, "", "soon", "-1", "1e9", "²", "Mon, 99 Foo"):
        assert retry_after(nonsense) == 0.0
