"""What other people's programs the tier `make foreign` needs, and how they come: `python -m tests.foreign.bring`.

What: OpenTelemetry's Java SDK and Keycloak out of Maven packages, and a Collector that Go builds, where Go is; all of it into
the cache of `local.java`. Tests ask `there()` and say this command where something is missing. It refuses to fetch in a test.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench import jvm
from local import java, keycloak

COMMAND = "make foreign"
ASKED = "TOCSIN_FOREIGN"
SDK = ("opentelemetry-java-1.68.0", "tree", "io.opentelemetry:opentelemetry-exporter-otlp:1.68.0")
SOURCES = Path(__file__).parent / "collector"
BUILD_S = 1_800

needs = pytest.mark.skipif(os.environ.get(ASKED) != "1", reason=f"another's program, run by: {COMMAND}")


def collector() -> Path:
    """Where the Collector of these sources is, once it is built."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))).hexdigest()
    return java.cache_dir() / f"otel-collector-{digest[:12]}"


def build(progress: java.Progress) -> str:
    """Build the Collector; why not, where that cannot be."""
    go = shutil.which("go")
    if collector().is_file():
        return ""
    if go is None:
        return "there is no go on the PATH"
    progress("building the OpenTelemetry Collector, once; some minutes")
    partial = collector().with_suffix(".partial")
    command = [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", str(partial), "."]
    done = subprocess.run(command, cwd=SOURCES, capture_output=True, text=True, timeout=BUILD_S, check=False)
    if done.returncode:
        return done.stderr[-500:]
    partial.rename(collector())
    return ""


def main() -> int:
    """Bring everything; say what could not be had."""

    def say(line: str) -> None:
        print(line, flush=True)

    for wanted in (SDK, jvm.COMPILER):
        java.fetch(*wanted, say)
    keycloak.home_of(say)
    if why := build(say):
        say(f"no Collector, its tests are skipped: {why}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
