"""A peer's process: what is missing, what it costs, what it says when it ends.

What: small processes of this interpreter. Why: a peer that died must not look idle. It refuses a broker.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.peer import BYTEWAX, FAUST, QUIX, Peer, PeerEnded, Running, prepare, tree_cost

CHILD = "import time; x = b'x' * 60_000_000; print('ready', flush=True); time.sleep(60)"


def started(code: str, tmp_path: Path) -> Running:
    log = tmp_path / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=errors)
    return Running(Peer("some", ()), process, log, "results")


def test_lines_of_json_are_progress_and_others_are_not(tmp_path):
    run = started("print('hello'); print('{\"done\": 5}'); print('{\"done\": 9}')", tmp_path)
    run.read()
    run.stop()
    assert [done for _, done in run.samples()] == [5.0, 9.0]


def test_a_peer_that_ended_says_why(tmp_path):
    run = started("print('{\"done\": 5}', flush=True); raise ValueError('no topic')", tmp_path)
    run.read()
    run.stop()
    with pytest.raises(PeerEnded, match="no topic"):
        _ = run.done


def test_a_tree_costs_what_its_children_cost(tmp_path):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', CHILD])".replace("CHILD", repr(CHILD))
    run = started(code, tmp_path)
    assert run._process.stdout is not None
    run._process.stdout.readline()
    found = tree_cost(run._process.pid)
    assert found.rss_mb > 60
    assert found.cpu_s > 0
    for child in psutil.Process(run._process.pid).children():
        child.kill()
    run.read()
    run.stop()
    assert tree_cost(run._process.pid).rss_mb == 0


def test_an_absent_environment_is_named_with_its_command(monkeypatch, tmp_path):
    monkeypatch.setattr("bench.peer.PEERS_PYTHON", tmp_path / "none")
    assert "make peers" in QUIX.missing
    assert not FAUST.missing


def test_the_folder_is_put_into_the_command(tmp_path):
    assert str(tmp_path) in prepare(BYTEWAX.command, tmp_path)
