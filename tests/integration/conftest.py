"""Fixtures of the tests of the whole: one plant for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.plant import Plant, plant


@pytest.fixture(scope="module", name="plant")
def running_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """A broker, a worker, a pager and a webhook of this module's own."""
    with plant(tmp_path_factory.mktemp("plant")) as made:
        yield made
