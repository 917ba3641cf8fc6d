"""`python -m bench`: measure, print a table, write bench/results/latest.json.

    python -m bench                     everything, medians of three runs (about fifty minutes)
    python -m bench --quick             most of it, one run each, smaller loads (at most five minutes)
    python -m bench --only pages        one part (--help names them all)

Why figures are written after each part: a later part that fails takes none of them back. It refuses to hide a failure:
the exit code is 1 when a part failed or a goal is missed.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time

from bench import results
from bench.outcome import WrongOutcome
from bench.results import Figure
from bench.rig import rig
from bench.suite import FULL, PARTS, QUICK, QUICK_PARTS

FAILURES = (WrongOutcome, TimeoutError, RuntimeError, ValueError)


def main(arguments: list[str]) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="one run each, smaller loads")
    parser.add_argument("--only", action="append", choices=sorted(PARTS), help="one part; may be given more than once")
    parser.add_argument("--runs", type=int, default=0, help="runs of each figure")
    chosen = parser.parse_args(arguments)
    size = QUICK if chosen.quick else FULL
    if chosen.runs > 0:
        size = dataclasses.replace(size, runs=chosen.runs)
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - begun:6.1f} s] {text}", file=sys.stderr, flush=True)

    figures: list[Figure] = []
    failed = []
    with rig() as bench:
        say(f"broker at {bench.bootstrap}")
        for name in chosen.only or (QUICK_PARTS if chosen.quick else PARTS):
            try:
                found = PARTS[name](bench, size, say)
            except FAILURES as error:
                say(f"{name} FAILED: {error}")
                failed.append(name)
                continue
            figures += found
            results.write(found, size.name)
    print(results.table(figures))
    if failed:
        print(f"failed: {', '.join(failed)}; the figures of an earlier run, if any, stay with their date")
    return 1 if failed or any(figure.reached is False for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
