"""`python -m demo [--verify]`: the same as `tocsin demo`.

What: the entry. Why: the demo runs from a tree that is not installed. It refuses options of its own.
"""

from __future__ import annotations

import sys

from demo.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
