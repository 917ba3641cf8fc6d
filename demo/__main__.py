"""`python -m demo [--verify]`: the same as `tocsin demo`."""

from __future__ import annotations

import sys

from demo.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
