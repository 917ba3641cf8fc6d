"""Where: which broker a command talks to, and how it gets there.

What: --bootstrap, else TOCSIN_BOOTSTRAP, else KAFKA_BOOTSTRAP, else the embedded broker that runs under TOCSIN_HOME, else
127.0.0.1:9092; and TOCSIN_KAFKA_*. Why: while the demo runs in one terminal, `tocsin slo` in another should just work. It refuses to start
anything.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from access.security import KafkaSecurity

DEFAULT = "127.0.0.1:9092"


def bootstrap(given: str | None) -> str:
    """host:port of the broker, see above."""
    named = given or os.environ.get("TOCSIN_BOOTSTRAP") or os.environ.get("KAFKA_BOOTSTRAP")
    return named or embedded() or DEFAULT


def security() -> KafkaSecurity:
    """How to get to it. Raises BadSettings."""
    from access import environment
    from access.security import KafkaSecurity

    return environment.read(KafkaSecurity, "tocsin", {})


def embedded() -> str:
    """host:port of an embedded broker whose process lives; empty when there is none."""
    from local.choice import home_dir

    for directory in (home_dir() / "kafka", home_dir() / "demo" / "kafka"):
        if found := _living(directory / "broker.json"):
            return found
    return ""


def _living(state: Path) -> str:
    from local.process import LOOPBACK, load_identity

    identity = load_identity(state)
    if identity is None or identity.process() is None or not identity.ports:
        return ""
    return f"{LOOPBACK}:{identity.ports[0]}"
