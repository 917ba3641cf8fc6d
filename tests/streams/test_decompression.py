"""Bounded unfolding: bombs and lies are refused, honest data comes out as it was."""

import cramjam
import pytest
from aiokafka import codec

from schemas.chunk import PADDING
from streams.decompression import BatchTooLarge, decoders
from streams.limits import FREE_UNFOLD_BYTES, MAX_UNFOLD_RATIO
from tests.streams.recordbatches import CODECS

LIMIT = 8 << 20
ENCODE = {"gzip": codec.gzip_encode, "snappy": codec.snappy_encode, "lz4": codec.lz4_encode, "zstd": codec.zstd_encode}


@pytest.fixture
def decode():
    found = decoders(LIMIT)
    return {name: found[number] for name, number in CODECS.items()}


@pytest.mark.parametrize("name", CODECS)
def test_what_fits_comes_out_as_it_was(decode, name):
    for data in (b"x", bytes(range(256)) * 9_000, b"y" * 3_000_000):
        assert decode[name](memoryview(ENCODE[name](data))) == data + PADDING


@pytest.mark.parametrize("name", CODECS)
def test_a_bomb_is_refused(decode, name):
    with pytest.raises(BatchTooLarge):
        decode[name](memoryview(ENCODE[name](bytes(12 << 20))))


def test_a_ratio_that_no_text_reaches_is_refused_below_the_limit(decode):
    payload = memoryview(bytes(cramjam.zstd.compress(bytes(6 << 20))))
    assert len(payload) * MAX_UNFOLD_RATIO < FREE_UNFOLD_BYTES
    with pytest.raises(BatchTooLarge):
        decode["zstd"](payload)
    assert len(decode["zstd"](memoryview(cramjam.zstd.compress(bytes(3 << 20))))) == (3 << 20) + len(PADDING)


def test_a_snappy_batch_that_lies_about_its_size_is_refused_before_it_unfolds(decode):
    header = bytes([0xFF, 0xFF, 0xFF, 0xFF, 0x07])
    with pytest.raises(BatchTooLarge):
        decode["snappy"](memoryview(header + b"\x00" * 50))
