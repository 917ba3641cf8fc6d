"""`python -m proof [--long | --controls] [--seed N] [--only ROW]`, `python -m proof --tables`: faults on a cluster, judged; exit code 0 only if everything held. It refuses less."""

from __future__ import annotations

import argparse
import sys

from proof import tables
from proof.play import CONTROL_ROWS, Order, play

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="hundreds of kills")
    parser.add_argument("--controls", action="store_true", help="every control, stock Faust too, beside one row")
    parser.add_argument("--rate", type=int, default=0, help="measurements a second (500; in the long form 2000)")
    parser.add_argument("--only", default="", help="rows, by number, with commas")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/reliability.md")
    parser.add_argument("--tables", action="store_true", help="only write them, from the files of results; no run")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no row after so many")
    chosen = parser.parse_args()
    if chosen.tables:
        tables.write()
        sys.exit(0)
    only = CONTROL_ROWS if chosen.controls else tuple(filter(None, chosen.only.split(",")))
    rate = chosen.rate or (2000 if chosen.long else 500)
    report = play(Order(chosen.seed, chosen.long, rate, only, chosen.page, chosen.minutes, chosen.controls))
    sys.exit(0 if report.good else 1)
