"""`tocsin fleet`: one adapter process, configured by TOCSIN_FLEET_* variables; or a mapping, checked or shown.

What: the entry of `streams` for fleet-telemetry's topics. It refuses to supervise, as `tocsin worker` does.
"""

from __future__ import annotations

import os
from pathlib import Path

from cli.output import OK, PROBLEM, Stop, note
from fleet import mapping


def run(bootstrap: str | None, check: Path | None, *, shipped: bool) -> int:
    """Exit code of the adapter, or of the look at a mapping."""
    if shipped:
        print(mapping.default(), end="")  # as it is: brackets are TOML here
        return OK
    if check is not None:
        return checked(check)
    if bootstrap:
        os.environ["TOCSIN_BOOTSTRAP"] = bootstrap
    from streams.__main__ import main

    return main(["fleet"])


def checked(path: Path) -> int:
    """Every mistake in a file."""
    try:
        found = mapping.read(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise Stop(PROBLEM, "the mapping cannot be read", str(path), str(error)) from error
    except mapping.BadMapping as error:
        raise Stop(PROBLEM, "the mapping has mistakes", str(path), "\n".join(error.problems)) from error
    note(f"{path}: {len(found.rules)} signals, {len(found.follow)} followed")
    return OK
