"""The stand-in registry answers as a registry does, and not at all when it is down."""

from __future__ import annotations

import pytest

from proof.registry import SCHEMA_ID, Registry
from streams.registry import RegistryUnavailable, lookup


def test_it_knows_one_schema_and_comes_back_on_the_same_port() -> None:
    with Registry() as registry:
        ask = lookup(registry.url)
        assert ask is not None
        assert "TelemetryBatch" in (ask(SCHEMA_ID) or "")
        assert ask(SCHEMA_ID + 1) is None
        registry.down()
        with pytest.raises(RegistryUnavailable):
            ask(SCHEMA_ID)
        registry.up()
        assert ask(SCHEMA_ID) is not None
        assert registry.asked == 3
