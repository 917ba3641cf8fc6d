"""The stand-in registry answers as a registry does, and not at all when it is down."""

from __future__ import annotations

import pytest

from demo.wire import NotARecord, read_batch
from proof import payloads
from proof.registry import SCHEMA_ID, Registry, breaking
from schemas.telemetry import TelemetryDecoder
from streams.registry import RegistryUnavailable, lookup


def test_it_knows_one_schema_and_comes_back_on_the_same_port() -> None:
    with Registry() as registry:
        first, second = lookup(registry.url), lookup(registry.url)
        assert first is not None
        assert second is not None
        assert "TelemetryBatch" in (first(SCHEMA_ID) or "")
        assert first(SCHEMA_ID + 7) is None
        registry.down()
        with pytest.raises(RegistryUnavailable):
            second(SCHEMA_ID)
        registry.up()
        assert second(SCHEMA_ID) is not None
        assert registry.told == 2


def test_a_schema_that_breaks_the_old_one_is_told_and_what_it_writes_is_refused() -> None:
    with Registry() as registry:
        decoder = TelemetryDecoder(lambda *of: 0, lookup(registry.url))
        good = payloads.outcomes("s", "b", 1_000, 3, good=True)
        framed = b"\0" + SCHEMA_ID.to_bytes(4, "big") + good[10:]
        decoded = decoder.decode([(0, 1_000, framed), (1, 1_000, breaking(good))])
    assert len(decoded.measurements.time_ms) == 3
    assert [(one.offset, one.reason) for one in decoded.refused] == [(1, "resolution")]
    with pytest.raises(NotARecord):  # so that books read from the raw topic leave it out
        read_batch(breaking(good))
