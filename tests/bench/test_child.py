"""A child of the benchmark: ready, go, facts.

What: the words between it and the process that measures. Why: a child that failed must not read as a fast one. It
refuses a broker.
"""

from __future__ import annotations

import pytest

from bench import child as children
from bench.child import child

CHILD = """
import json, sys, threading
from bench.child import await_go
stopped = threading.Event()
order = json.loads(sys.argv[1])
if order.get("dies"):
    raise SystemExit(3)
if await_go(order["number"], stopped.set):
    if order.get("fails"):
        raise SystemExit(4)
    if order.get("waits"):
        stopped.wait(60)
    print(json.dumps({"told": order["number"], "stopped": stopped.is_set()}))
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "made_child.py").write_text(CHILD, "utf-8")
    known = children.environment()
    monkeypatch.setattr(children, "environment", lambda: known | {"PYTHONPATH": f"{tmp_path}:{known['PYTHONPATH']}"})
    return "made_child"


def test_it_says_that_it_is_ready_and_ends_with_its_facts(module):
    with child(module, {"number": 7}) as made:
        assert made.ready == "7"
        made.go()
        assert made.facts()["told"] == 7


def test_it_can_be_stopped(module):
    with child(module, {"number": 1, "waits": True}) as made:
        made.go()
        assert made.stop() == {"told": 1, "stopped": True}


def test_one_that_does_not_get_ready_is_an_error(module):
    with pytest.raises(RuntimeError, match="did not get ready"), child(module, {"dies": True, "number": 1}):
        pass


def test_one_that_fails_has_no_facts(module):
    with child(module, {"number": 1, "fails": True}) as made:
        made.go()
        with pytest.raises(RuntimeError, match="failed with 4"):
            made.facts()
