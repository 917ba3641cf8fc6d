"""`python -m streams worker`: one worker process, configured by TOCSIN_* environment variables. It refuses other commands:
what people type is `cli`."""

from __future__ import annotations

import sys

from streams import app, logs, settings


def main(arguments: list[str]) -> int:
    """Exit code of the process."""
    if arguments != ["worker"]:
        sys.stderr.write("usage: python -m streams worker\n")
        return 2
    found = settings.load()
    logs.start(found.log_format, found.log_level)
    app.run(found)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
