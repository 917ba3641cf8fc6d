"""Sources with wrong clocks are counted when they measured: the real client, a real broker, a real worker.

Three sources are two hours ahead, two hours behind, and two hours ahead until their clock is set, before what they spooled goes
out. A fourth is right. Nothing may be late, and every outcome must lie in a window of these minutes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.workers import ROOT
from tests.integration import wrong_clock
from tests.integration.plant import Plant, Seen, now_ms

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

NOWHERE = "kafka://127.0.0.1:1"
HOURS_MS = 7_200_000
COUNT = 40
PANE_MS = 10_000


def source(*arguments: object) -> None:
    """Run one to its end."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
    done = subprocess.run(
        [sys.executable, wrong_clock.__file__, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_sources_with_wrong_clocks_are_counted_in_their_time(plant: Plant, tmp_path: Path) -> None:
    way, begun_ms = f"kafka://{plant.bootstrap}", now_ms()
    source(way, "ahead", HOURS_MS, COUNT)
    source(way, "behind", -HOURS_MS, COUNT)
    source(NOWHERE, "set", HOURS_MS, COUNT, tmp_path)
    source(way, "set", 0, 1, tmp_path)
    source(way, "right", 0, COUNT)
    seen = Seen(plant.tap)

    def counted() -> dict[str, int]:
        found: dict[str, int] = {}
        for (identity, start_ms), cell in seen.cells().items():
            service = dict(identity[4])["service"]
            assert begun_ms - PANE_MS <= start_ms <= now_ms(), f"{service} at {start_ms - begun_ms} ms"
            found[service] = found.get(service, 0) + cell.count
        return found

    expected = {"ahead": COUNT, "behind": COUNT, "set": COUNT + 1, "right": COUNT}
    plant.until("every outcome in its window", lambda: counted() == expected)
    assert not seen.audit.late()
    moved = plant.metric("tocsin_skew_corrected_total")
    assert moved == {'{clock="ahead"}': 2.0 * COUNT, '{clock="behind"}': float(COUNT), '{clock="unclear"}': 0.0}
