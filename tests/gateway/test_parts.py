"""A body is cut into records, or refused as a whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import RECORDS
from gateway.parts import joined, several
from gateway.refusal import Refusal


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_what_was_joined_is_cut_again(records):
    assert several(joined(records)) == records


@given(st.binary(max_size=200))
def test_any_bytes_are_cut_or_refused(body):
    try:
        records = several(body)
    except Refusal:
        return
    assert joined(records) == body


@pytest.mark.parametrize("body", [b"\0", b"\0\0\0\2a", joined([b"a"]) + b"\0\0"])
def test_lengths_that_do_not_add_up(body):
    with pytest.raises(Refusal, match="byte"):
        several(body)


def test_too_many_records():
    assert len(several(joined([b""] * RECORDS))) == RECORDS
    with pytest.raises(Refusal) as caught:
        several(joined([b""] * (RECORDS + 1)))
    assert caught.value.status == 413
