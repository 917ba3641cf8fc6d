"""Who may speak for which source."""

from __future__ import annotations

from gateway.identity import ANYBODY, Identity
from schemas.limits import SOURCE_CHARS


def test_a_payload_without_a_source_gets_one_of_the_identitys():
    assert Identity("k", "t", source="car-7").named("bus-9") == "car-7"
    family = Identity("k", "t", prefix="car-")
    assert family.named("9") == family.named("car-9") == "car-9"
    assert not family.named("")
    assert not Identity("k", "t").named("x")
    assert len(family.named("9" * 500)) == SOURCE_CHARS


def test_anybody_may_be_anybody_with_a_name():
    assert ANYBODY.may_be("x")
    assert not ANYBODY.may_be("")
    assert not ANYBODY.may_be("x" * (SOURCE_CHARS + 1))
