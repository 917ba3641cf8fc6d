"""`tocsin`: the names, options and help of every command, in one place.

What: a typer app whose commands load their file when they are called. Why: `tocsin --help` answers at once, and a
reader sees the whole surface on one page. It refuses to hold work: each body is one call.

Exit codes: 0 fine; 1 a problem was found; 2 wrong usage; 3 a broker or service could not be reached.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli import complete, output
from cli.where import bootstrap as broker_at

DISTRIBUTION = "tocsin-platform"
CODES = "Exit codes: 0 fine; 1 a problem was found; 2 wrong usage; 3 a broker or service could not be reached."


def _examples(*lines: str) -> str:
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
topics_app = typer.Typer(
    help="The topics: list, create, describe.",
    epilog=_examples("tocsin topics", "tocsin topics create --partitions 8", "tocsin topics describe --json"),
    rich_markup_mode=None,
)
app.add_typer(topics_app, name="topics")

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


@app.command(
    epilog=_examples("tocsin demo", "tocsin demo --rate 200 --workers 3", "tocsin demo --verify --seed 7"),
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def demo(
    context: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="No screen: run, then judge by the ledger; 1 on any loss.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Of the story and its telemetry.")] = 1,
    workers: Annotated[int, typer.Option("--workers", min=0, max=16, help="0: others run them.")] = 2,
) -> None:
    """A fleet, an incident and its page, live. On a real broker; further options go to the demo itself."""

    def work() -> int:
        from cli.demo import run

        return run([*(["--verify"] if verify else []), f"--seed={seed}", f"--workers={workers}", *context.args])

    raise typer.Exit(output.ended(work))


@app.command(epilog=_examples("tocsin up", "tocsin up --workers 0 --keep", "tocsin up --json | jq -r .bootstrap"))
def up(
    workers: Annotated[int, typer.Option("--workers", min=0, max=16, help="Worker processes.")] = 1,
    partitions: Partitions = 4,
    replication: Replication = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave an embedded broker running afterwards.")] = False,
    json: Json = False,
) -> None:
    """Broker, topics and workers on this machine. The broker is a given one, Docker's or an embedded one. Until Ctrl-C."""

    def work() -> int:
        from cli.up import run

        return run(workers, partitions, replication, keep=keep, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=_examples("tocsin worker", "TOCSIN_SLO_PATH=slos tocsin worker --bootstrap kafka-1:9092"))
def worker(bootstrap: Bootstrap = None) -> None:
    """One worker process. Configured by TOCSIN_* variables."""

    def work() -> int:
        from cli.worker import run

        return run(bootstrap)

    raise typer.Exit(output.ended(work))


@app.command(
    epilog=_examples("tocsin gateway", "TOCSIN_GATEWAY_PORT=8080 tocsin gateway --bootstrap kafka-1:9092"),
)
def gateway(bootstrap: Bootstrap = None) -> None:
    """One gateway process: telemetry over HTTP in, Kafka out. Configured by TOCSIN_GATEWAY_* variables."""

    def work() -> int:
        from cli.gateway import run

        return run(broker_at(bootstrap))

    raise typer.Exit(output.ended(work))


@app.command("gateway-key", epilog=_examples("tocsin gateway-key shop-web"))
def gateway_key(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of the key: small letters, digits and dashes.")],
) -> None:
    """A new API key for a gateway: its text to stdout, once; its hash, for the file of keys, to stderr."""

    def work() -> int:
        from cli.gateway import new_key

        return new_key(name)

    raise typer.Exit(output.ended(work))


@topics_app.callback(invoke_without_command=True)
def topics(context: typer.Context) -> None:
    """The topics: list, create, describe."""
    if context.invoked_subcommand is None:
        topics_list()


@topics_app.command("list", epilog=_examples("tocsin topics list --json"))
def topics_list(json: Json = False) -> None:
    """Every topic of ours; needs no broker."""

    def work() -> int:
        from cli.topics import listed

        return listed(json=json)

    raise typer.Exit(output.ended(work))


@topics_app.command("create", epilog=_examples("tocsin topics create --partitions 8 --replication 3"))
def topics_create(
    bootstrap: Bootstrap = None,
    partitions: Partitions = 4,
    replication: Replication = 1,
    json: Json = False,
) -> None:
    """Make the topics that are missing; what is there is left as it is."""

    def work() -> int:
        from cli.topics import create

        return create(broker_at(bootstrap), partitions, replication, json=json)

    raise typer.Exit(output.ended(work))


@topics_app.command("describe", epilog=_examples("tocsin topics describe"))
def topics_describe(
    bootstrap: Bootstrap = None, partitions: Partitions = 4, replication: Replication = 1, json: Json = False
) -> None:
    """Partitions and offsets of a broker's topics, and every difference from the table (then exit code 1)."""

    def work() -> int:
        from cli.topics import describe

        return describe(broker_at(bootstrap), partitions, replication, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=_examples("tocsin validate examples/slos", "tocsin validate slos channels.yaml routes.yaml --json"))
def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of *.yaml and *.yml.")],
    json: Json = False,
) -> None:
    """Check OpenSLO, channels and routes files. Every mistake with file, line, column and hint; then the exit code is 1."""

    def work() -> int:
        from cli.validate import run

        return run(paths, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=_examples("tocsin slo", "tocsin slo checkout --json", "tocsin slo --check && ./deploy"))
def slo(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="SLOs whose name begins so.", autocompletion=complete.slo_names)
    ] = "",
    bootstrap: Bootstrap = None,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 unless all of them are healthy.")] = False,
    json: Json = False,
) -> None:
    """Where each SLO stands, the worst first."""

    def work() -> int:
        from cli.slo import run

        return run(name, broker_at(bootstrap), json=json, check=check)

    raise typer.Exit(output.ended(work))


@app.command(
    epilog=_examples(
        "tocsin tail alerts",
        "tocsin tail telemetry --follow --filter web-7",
        "tocsin tail telemetry.dlq --from-beginning -n 0 --json | jq .value.reason",
    )
)
def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", autocompletion=complete.topic_names)],
    bootstrap: Bootstrap = None,
    count: Annotated[
        int, typer.Option("-n", "--lines", min=0, help="How many records; 0: all, from the beginning.")
    ] = 10,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="The oldest records, not the newest.")
    ] = False,
    contains: Annotated[str, typer.Option("--filter", metavar="TEXT", help="Only records whose key contains it.")] = "",
    registry: Annotated[
        str, typer.Option("--registry", envvar="TOCSIN_REGISTRY_URL", metavar="URL", help="For schemas of others.")
    ] = "",
    json: Json = False,
) -> None:
    """The records of a topic, decoded. Oldest first; the exit code is 1 when one cannot be read."""

    def work() -> int:
        from cli.tail import run

        return run(
            topic,
            broker_at(bootstrap),
            count=0 if follow and from_beginning else count,
            follow=follow,
            from_beginning=from_beginning or not count,
            contains=contains,
            json=json,
            registry=registry,
        )

    raise typer.Exit(output.ended(work))


@app.command(
    epilog=_examples(
        "tocsin logs --service shop --since 10m --severity warn",
        "tocsin logs --service shop --follow",
        "tocsin logs --event tocsin.deploy --since 1d --json | jq -r .version",
    )
)
def logs(
    bootstrap: Bootstrap = None,
    service: Annotated[str, typer.Option("--service", metavar="NAME", help="Only this service's.")] = "",
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="How far back: 90s, 10m, 6h, 3d.")] = "10m",
    severity: Annotated[
        str, typer.Option("--severity", metavar="LEAST", help="trace, debug, info, warn, error or fatal, and above.")
    ] = "",
    event: Annotated[str, typer.Option("--event", metavar="NAME", help="Only events of this name.")] = "",
    count: Annotated[
        int, typer.Option("-n", "--lines", min=0, help="The newest so many of the past; 0: all, as they came.")
    ] = 1_000,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes.")] = False,
    json: Json = False,
) -> None:
    """Log records and events, each once. Oldest first; a line tells where a service's version is a new one."""

    def work() -> int:
        from cli.logs import Wanted, least, run

        where = broker_at(bootstrap)
        return run(where, Wanted(service, least(severity), event), since=since, count=count, follow=follow, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=_examples("tocsin explain 5b6c", "tocsin explain 77aa01d2c3b4e5f6 --json | jq .deliveries"))
def explain(
    wanted: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Incident, alert, transition or notification; its beginning will do.",
            autocompletion=complete.incident_ids,
        ),
    ],
    bootstrap: Bootstrap = None,
    json: Json = False,
) -> None:
    """Why it paged. Counts, windows, thresholds, offsets, configuration, and each delivery attempt with its time."""

    def work() -> int:
        from cli.explain import run

        return run(wanted, broker_at(bootstrap), json=json)

    raise typer.Exit(output.ended(work))


Incident = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Incident, or any id that belongs to it; its beginning will do.",
        autocompletion=complete.incident_ids,
    ),
]
Who = Annotated[str, typer.Option("--as", metavar="WHO", envvar="TOCSIN_ACTOR", help="Who asks. Otherwise user@host.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="Kept in the command's record.")]
Wait = Annotated[float, typer.Option("--wait", min=0, metavar="SECONDS", help="For the answer; 0: only send.")]


@app.command(epilog=_examples("tocsin ack 5b6c", "tocsin ack 5b6c --as ada --note 'rolling back' --json"))
def ack(
    wanted: Incident, bootstrap: Bootstrap = None, who: Who = "", note: Note = "", wait: Wait = 10.0, json: Json = False
) -> None:
    """Acknowledge an incident: somebody is at it. Its channels are told; a rise in severity takes it back."""
    raise typer.Exit(output.ended(_asking("acknowledge", wanted, bootstrap, who, note, wait, json=json)))


@app.command(epilog=_examples("tocsin resolve 5b6c", "tocsin resolve 5b6c --note 'false alarm' --wait 0"))
def resolve(
    wanted: Incident, bootstrap: Bootstrap = None, who: Who = "", note: Note = "", wait: Wait = 10.0, json: Json = False
) -> None:
    """Resolve an incident. Its alerts open another one only when they rise again."""
    raise typer.Exit(output.ended(_asking("resolve", wanted, bootstrap, who, note, wait, json=json)))


def _asking(
    kind: str, wanted: str, bootstrap: str | None, who: str, note: str, wait_s: float, *, json: bool
) -> Callable[[], int]:
    def work() -> int:
        from cli.ask import run

        return run(kind, wanted, broker_at(bootstrap), actor=who, note=note, wait_s=wait_s, json=json)

    return work


@app.command(epilog=_examples("tocsin doctor", "tocsin doctor --json --no-probe"))
def doctor(
    bootstrap: Bootstrap = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Write a record to a topic made for it and deleted again.")
    ] = True,
    json: Json = False,
) -> None:
    """Is everything there? Each check says what to do where it is not; the exit code is 1 when one fails."""

    def work() -> int:
        from cli.doctor import run

        return run(broker_at(bootstrap), json=json, probe=probe)

    raise typer.Exit(output.ended(work))


def main() -> None:
    """Console script."""
    app(prog_name="tocsin")
