"""`make simulate`: many seeds, over all cores. Ends with 1 when one of them has findings."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping

from bench.results import RESULTS, machine
from tests.simulation.runs import TIERS, run_pair

WHOLE = 500  # seeds of both tiers, whose run is written down


def tier_of(seed: int) -> str:
    """The tiers take turns, by their shares of a hundred."""
    return "platform" if seed % 100 < TIERS["platform"][2] else "shell"


def written(
    first: int, seeds: int, jobs: int, took_s: float, failed: int, tiers: Mapping[str, int], ends: Mapping[str, int]
) -> None:
    """A whole run, for the documentation."""
    facts = {name: value for name, value in machine().items() if name not in ("peers", "broker")}
    found = {
        "first": first, "seeds": seeds, "jobs": jobs, "seconds": round(took_s, 1), "failed": failed, "tiers": dict(tiers),
        "ends": dict(ends), "measured": dt.datetime.now(dt.UTC).date().isoformat(), "machine": facts,
    }  # fmt: skip
    (RESULTS / "simulate.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def main() -> int:
    """Run the seeds and say what came of them."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=500, help="how many")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first")
    parser.add_argument("--only", choices=sorted(TIERS), help="one tier; else 4 of a hundred seeds play the platform")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--traces", action="store_true", help="print the hash of each run")
    told = parser.parse_args()
    began, failed = time.perf_counter(), 0
    seeds = [(told.only or tier_of(seed), seed) for seed in range(told.first, told.first + told.seeds)]
    runs: collections.Counter[str] = collections.Counter()
    deaths: collections.Counter[str] = collections.Counter()
    with multiprocessing.get_context("spawn").Pool(min(told.jobs, told.seeds)) as pool:
        for outcome in pool.imap(run_pair, seeds, chunksize=5):
            runs[outcome.tier] += 1
            deaths.update(outcome.deaths)
            if told.traces:
                print(outcome.tier, outcome.seed, outcome.trace, flush=True)
            if outcome.findings:
                failed += 1
                print(outcome, flush=True)
    took_s = time.perf_counter() - began
    if told.only is None and told.seeds >= WHOLE:
        written(told.first, told.seeds, min(told.jobs, told.seeds), took_s, failed, runs, deaths)
    ends = ", ".join(f"{count} {step}" for step, count in sorted(deaths.items()))
    tiers = " and ".join(f"{count} of the {tier}" for tier, count in sorted(runs.items()))
    print(
        f"{told.seeds} seeds ({tiers}) in {took_s:.1f} s, {told.seeds / took_s:.1f} a second; {failed} failed; ends: {ends}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
