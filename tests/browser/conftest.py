"""Chromium, where it is installed: `ops/scripts/debian-chromium`. Nothing else drives these tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, async_playwright

CHROMIUM = shutil.which("chromium")
INSTALLS = "ops/scripts/debian-chromium installs it (as root)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, and says what to do."""
    for item in items:
        if CHROMIUM is None and "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.skip(reason=f"needs Chromium: {INSTALLS}"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """CI that has no browser has not seen the page's script run: that must not look like a pass. It is none of its failures
    either, since installing one needs root."""
    left_out = [one.nodeid for one in terminalreporter.stats.get("skipped", []) if "tests/browser/" in one.nodeid]
    if CHROMIUM is None and left_out and os.environ.get("CI"):
        terminalreporter.section("NOT TESTED HERE: the page's script in a browser", sep="!", red=True, bold=True)
        for test in left_out:
            terminalreporter.line(test)
        terminalreporter.line(f"There is no Chromium on the PATH of this CI: {INSTALLS}.")


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
