"""The app: what all commands share, their common options and how their help looks.

What: the typer app on which `cli.processes` and `cli.main` put their commands. Why: an option is written once and means the
same everywhere. It refuses to hold a command.

Exit codes: 0 fine; 1 a problem was found; 2 wrong usage; 3 a broker or service could not be reached.
"""

from __future__ import annotations

import importlib.metadata
from typing import Annotated

import typer

DISTRIBUTION = "tocsin-platform"
CODES = "Exit codes: 0 fine; 1 a problem was found; 2 wrong usage; 3 a broker or service could not be reached."


def examples(*lines: str) -> str:
    """Lines that the help shows as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


app = typer.Typer(
    name="tocsin",
    help="Telemetry on Kafka, aggregated by Faust, judged against SLOs, paged in seconds.",
    epilog=CODES,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
Bootstrap = Annotated[
    str | None,
    typer.Option(
        "--bootstrap",
        metavar="HOST:PORT",
        help="The broker. Otherwise TOCSIN_BOOTSTRAP, KAFKA_BOOTSTRAP, the embedded broker that runs, or 127.0.0.1:9092.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON to stdout, for programs.")]
Partitions = Annotated[int, typer.Option("--partitions", envvar="TOCSIN_PARTITIONS", min=1, max=1024)]
Replication = Annotated[int, typer.Option("--replication", envvar="TOCSIN_REPLICATION", min=1, max=7)]


def _version(wanted: bool) -> None:
    if wanted:
        try:
            typer.echo(f"tocsin {importlib.metadata.version(DISTRIBUTION)}")
        except importlib.metadata.PackageNotFoundError:
            typer.echo("tocsin, from a tree that is not installed")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Version, and end.")
    ] = False,
) -> None:
    """Telemetry on Kafka, aggregated by Faust, judged against SLOs, paged in seconds."""
