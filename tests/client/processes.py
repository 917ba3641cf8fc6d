"""Real processes with a client in them, for tests to fork, tell to end and read; what they sent lies in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from demo.wire import Batch, read_batch
from tests.client.emitter import read

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])
BEGIN = """
import os, random, signal, sys, threading, time
from tocsin import Client
from tests.client.emitter import Recording
OUT = sys.argv[1]
def client(**options):
    settled = {'source': 's', 'service': 'x', 'flush_interval': 3600, 'report': False, 'catch_up_jitter': 0.0,
               'transport': Recording(OUT, random.Random(1), faults=False), **options}
    return Client(**settled)
"""


def start(script: str, out: Path, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BEGIN + script, str(out), *map(str, more)]
    return subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": PATHS}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str], code: int = 0) -> str:
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
    return out


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=60)
    return line


def batches(out: Path) -> list[Batch]:
    return [read_batch(value) for value in read(out.read_bytes())] if out.exists() else []


def values(out: Path) -> list[float]:
    return sorted(value for batch in batches(out) for value in batch.value.tolist())


def printed(program: Path, out: Path) -> str:
    """What a program of several processes prints, until all of them have ended well."""
    done = subprocess.run(
        [sys.executable, str(program), str(out)],
        env={**os.environ, "PYTHONPATH": PATHS}, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
