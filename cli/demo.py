"""`tocsin demo`: a fleet, an incident and its page, on a real broker. Refuses to differ from `python -m demo`."""

from __future__ import annotations

from collections.abc import Sequence


def run(arguments: Sequence[str]) -> int:
    """Exit code of the demo."""
    from demo.run import main

    return main(arguments)
