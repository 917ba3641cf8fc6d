"""`tocsin gateway`: one gateway process, configured by TOCSIN_GATEWAY_* variables.

What: the entry of `gateway`, with the broker named on the command line if one likes. It refuses to supervise: several
gateways stand behind a balancer, and whoever started one starts it again.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alerts.config import BadConfig, read_config
from alerts.slo import Ratio
from cli.output import OK, PROBLEM, Stop, note, say
from gateway.keys import BadKeys, made
from gateway.server import serve
from gateway.settings import load
from gateway.spool import SpoolInUse
from streams import logs


def run(bootstrap: str) -> int:
    """Exit code of the gateway."""
    settings = load()
    logs.start(settings.log_format, settings.log_level)
    try:
        return asyncio.run(serve(settings, bootstrap, watched(settings.slo_path)))
    except BadConfig as error:
        raise Stop(PROBLEM, "the SLO files have mistakes", str(settings.slo_path), str(error)) from error
    except BadKeys as error:
        raise Stop(
            PROBLEM, "the file of keys has mistakes", str(settings.keys_path), "\n".join(error.problems)
        ) from error
    except SpoolInUse as error:
        raise Stop(PROBLEM, f"cannot start: {error}", "TOCSIN_GATEWAY_SPOOL_DIR", "name another folder") from error
    except OSError as error:
        where = f"{settings.host}:{settings.port}, {settings.health_host}:{settings.health_port}"
        raise Stop(
            PROBLEM, f"cannot start: {error}", where, "choose others: TOCSIN_GATEWAY_PORT, _HEALTH_PORT"
        ) from error


def watched(path: Path | None) -> frozenset[str]:
    """Metrics that an SLO of these files reads; none without files. Raises BadConfig."""
    if path is None:
        return frozenset()
    names: set[str] = set()
    for slo in read_config(path).slos:
        indicator = slo.indicator
        parts = (indicator.total, indicator.part) if isinstance(indicator, Ratio) else (indicator.series,)
        names.update(part.metric for part in parts)
    return frozenset(names)


def new_key(name: str) -> int:
    """A new API key: its text to stdout, what the file of keys gets to stderr. Nobody can print the text again."""
    key = made(name)
    say(key.text)
    note(f"for the file of keys, id {name}, hash {key.hash}")
    return OK
