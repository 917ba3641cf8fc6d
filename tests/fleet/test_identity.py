"""Who a vehicle is, and that nobody reads a VIN out of it."""

import pytest

from fleet.identity import Naming, vin_of
from schemas.corrupt import SOURCE, CorruptRecord

VIN = "5YJ3E1EA0KF000001"


def test_a_source_is_a_keyed_hash_of_the_vin():
    plain, hashed, secret = Naming(plain=True), Naming(), Naming(secret="ours")
    assert plain.source(VIN) == VIN
    assert hashed.source(VIN) == hashed.source(VIN) != secret.source(VIN)
    for one in (hashed, secret):
        assert one.source(VIN).startswith("vehicle-")
        assert VIN not in one.source(VIN)
    assert hashed.source(VIN) != hashed.source(VIN[:-1] + "2")


@pytest.mark.parametrize(
    ("key", "told"), [(None, VIN), (b"", ""), (b"\xff", ""), (b"a" * 65, ""), (b"a\n", ""), (VIN.encode(), "another")]
)
def test_a_record_of_nobody_or_of_two_is_refused_without_a_vin_in_the_words(key, told):
    with pytest.raises(CorruptRecord) as refused:
        vin_of(key, told)
    assert refused.value.reason == SOURCE
    assert "another" not in str(refused.value)


def test_the_key_decides():
    assert vin_of(VIN.encode(), "") == vin_of(VIN.encode(), VIN) == VIN
