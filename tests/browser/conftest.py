"""Chromium, where it is installed: `ops/scripts/debian-chromium`. Nothing else drives these tests."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, and says what to do."""
    for item in items:
        if CHROMIUM is None and "tests/browser/" in item.nodeid:
            item.add_marker(
                pytest.mark.skip(reason="needs Chromium: ops/scripts/debian-chromium installs it (as root)")
            )


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser of its own for each test."""
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield browser
        finally:
            await browser.close()
