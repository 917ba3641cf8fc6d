"""`tocsin worker`: one worker process, configured by TOCSIN_* variables.

What: the entry of `streams`, with the broker named on the command line if one likes. It refuses to supervise: a worker
that must end, ends; whoever started it starts it again.
"""

from __future__ import annotations

import os


def run(bootstrap: str | None) -> int:
    """Exit code of the worker."""
    if bootstrap:
        os.environ["TOCSIN_BOOTSTRAP"] = bootstrap
    from streams.__main__ import main

    return main(["worker"])
