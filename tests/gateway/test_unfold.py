"""Bodies unfold within their limits, or not at all."""

from __future__ import annotations

import contextlib
import gzip
import tracemalloc
import zlib

import cramjam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.limits import FREE_UNFOLD_BYTES, GZIP_MEMBERS, UNFOLD_RATIO, UNFOLDED_BYTES
from gateway.refusal import Refusal
from gateway.unfold import UNFOLD, allowed, known, unfold

FOLD = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": lambda data: bytes(cramjam.zstd.compress(data)),
    "snappy": lambda data: bytes(cramjam.snappy.compress_raw(data)),
}


@pytest.mark.parametrize("encoding", FOLD)
@given(data=st.binary(max_size=5_000), times=st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_what_was_folded_unfolds(encoding, data, times):
    whole = data * times
    if len(whole) <= FREE_UNFOLD_BYTES:
        assert unfold(FOLD[encoding](whole), encoding) == whole


@pytest.mark.parametrize("encoding", FOLD)
def test_a_bomb_is_refused_and_costs_no_more_than_the_limit(encoding):
    bomb = FOLD[encoding](bytes(200 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(Refusal) as caught:
            unfold(bomb, encoding)
        assert tracemalloc.get_traced_memory()[1] < 2 * UNFOLDED_BYTES + (1 << 20)
    finally:
        tracemalloc.stop()
    assert caught.value.status == 413


def test_the_ratio_binds_before_the_limit():
    assert allowed(10) == FREE_UNFOLD_BYTES
    assert allowed(10_000) == 10_000 * UNFOLD_RATIO
    assert allowed(1 << 30) == UNFOLDED_BYTES


@pytest.mark.parametrize("encoding", UNFOLD)
@given(data=st.binary(min_size=1, max_size=300))
@settings(max_examples=60, deadline=None)
def test_hostile_bytes_are_refused_or_unfold(encoding, data):
    with contextlib.suppress(Refusal):
        assert len(unfold(data, encoding)) <= allowed(len(data))


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_body_that_ends_early_is_refused(encoding):
    folded = FOLD[encoding](bytes(range(256)) * 40)
    with pytest.raises(Refusal) as caught:
        unfold(folded[:-9], encoding)
    assert caught.value.status == 400


def test_gzip_members_are_joined_and_counted():
    assert unfold(gzip.compress(b"a") + gzip.compress(b"b"), "gzip") == b"ab"
    with pytest.raises(Refusal, match="members"):
        unfold(gzip.compress(b"a") * (GZIP_MEMBERS + 1), "gzip")


def test_without_an_encoding_only_the_limit_counts():
    assert unfold(b"abc", "", 3) == b"abc"
    with pytest.raises(Refusal):
        unfold(b"abcd", "", 3)


def test_encodings_by_name():
    assert known(" GZIP ") == "gzip"
    assert known("identity") == known("") == ""
    with pytest.raises(Refusal) as caught:
        known("gzip, gzip")
    assert caught.value.status == 415
