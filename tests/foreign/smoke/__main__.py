"""A foreign oracle: Kafka Streams' own SmokeTestDriver judges a job on our transport, state logs and rollups, killed as it runs.

`python -m tests.foreign.smoke [--quick]`; exit code 0 only if the driver passed the job and refused every wrong. Why: who
writes both a product and its oracle may be wrong in the same way twice. It refuses to change what the driver checks.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time

from bench.results import RESULTS, machine
from tests.foreign.smoke.play import FULL, QUICK, NearMidnight, NotProven, play

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make smoke", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer records, kills and wrongs")
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {line}", flush=True)

    order = QUICK if parser.parse_args().quick else FULL
    try:
        found = play(order, say)
    except (NotProven, NearMidnight) as error:
        say(str(error))
        sys.exit(1)
    if order is FULL:  # who did not pass ended above: what is written down passed
        facts = {name: value for name, value in machine().items() if name != "peers"}
        dated = found | {"measured": dt.datetime.now(dt.UTC).date().isoformat(), "machine": facts}
        (RESULTS / "smoke.json").write_text(json.dumps(dated, indent=1, sort_keys=True) + "\n", encoding="utf-8")
