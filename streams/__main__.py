"""`python -m streams worker`, or `fleet`: one process, configured by TOCSIN_* environment variables. It refuses other commands:
what people type is `cli`."""

from __future__ import annotations

import sys

from alerts.config import BadConfig
from fleet.mapping import BadMapping
from sinks.channels import BadChannels
from streams import app, fleet_app, fleet_settings, logs, memory, settings


def main(arguments: list[str]) -> int:
    """Exit code of the process."""
    if arguments not in (["worker"], ["fleet"]):
        sys.stderr.write("usage: python -m streams worker|fleet\n")
        return 2
    found = settings.load()
    logs.start(found.log_format, found.log_level)
    if memory.settle():
        memory.keep_giving_back()
    try:
        if arguments == ["fleet"]:
            fleet_app.run(found, fleet_settings.load())
        else:
            app.run(found)
    except (BadConfig, BadChannels, BadMapping) as error:
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        sys.stderr.write(f"tocsin can't start, mistakes in its files:\n{lines}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
