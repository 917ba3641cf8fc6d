"""Fixtures of the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.large import Large


@pytest.fixture
def large() -> Iterator[Large]:
    """What reads large bodies; its processes end with the test."""
    made = Large()
    yield made
    made.close()
