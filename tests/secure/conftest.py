"""One secured broker for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.secure.cluster import Cluster, cluster
from tests.secure.issuer import Issuer, issuing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them need a broker."""
    for item in items:
        if "secured" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        yield found


@pytest.fixture(scope="session")
def secured(test_home: Path, issuer: Issuer) -> Iterator[Cluster]:
    with cluster(test_home / "secured", issuer) as found:
        yield found
