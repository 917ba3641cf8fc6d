"""A Faust worker as a process, on a real broker: what its agents did arrives, each event once, and a TERM loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.client.fake_gateway import counted, serving
from tests.streams.broker import fill, make_topic

ROOT = Path(__file__).parents[2]
ORDERS, PARTITIONS, PATIENCE_S = 140, 2, 90.0
BAD = len([n for n in range(ORDERS) if n % 70 == 69])


def test_what_a_worker_did(bootstrap: str, unique: Callable[[str], str], tmp_path: Path) -> None:
    orders, paid = (make_topic(bootstrap, unique(name), PARTITIONS) for name in ("orders", "paid"))
    with serving() as gateway, (tmp_path / "log").open("wb") as log:
        told_of = {
            "SHOP": unique("shop"), "BROKER": bootstrap, "ORDERS": orders, "PAID": paid,
            "TOCSIN_URL": gateway.url, "TOCSIN_SERVICE": "shop", "TOCSIN_SOURCE": "shop-1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")]),
        }  # fmt: skip
        worker = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ROOT / "tests/client/faust_shop.py"), "worker", "--without-web", "-l", "warn"],
            env={**os.environ, **told_of}, cwd=tmp_path, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            fill(bootstrap, orders, [(n % PARTITIONS, b"%d" % n) for n in range(ORDERS)])
            deadline = time.monotonic() + PATIENCE_S
            while counted(gateway, "faust.event", "agent").total() < 2 * ORDERS:
                assert worker.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < deadline, (
                    counted(gateway, "faust.event", "agent"),
                    (tmp_path / "log").read_text(),
                )
                time.sleep(0.1)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0, (tmp_path / "log").read_text()
        finally:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
        assert counted(gateway, "faust.event", "agent") == {
            ("pay", 1): ORDERS - BAD, ("pay", 0): BAD, ("statement", 1): ORDERS,
        }  # fmt: skip
        assert counted(gateway, "faust.send", "topic") == {(paid, 1): ORDERS - BAD}
        lag = counted(gateway, "faust.lag", "topic")
        assert {topic for topic, _ in lag} == {orders}
