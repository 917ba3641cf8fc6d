"""`tocsin`: the names, options and help of every command that asks; those that start processes are `cli.processes`.

What: commands of a typer app that load their file when they are called. Why: `tocsin --help` answers at once, and a
reader sees the whole surface on two pages. It refuses to hold work: each body is one call.

Exit codes: 0 fine; 1 a problem was found; 2 wrong usage; 3 a broker or service could not be reached.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from cli import (
    complete,
    output,
    processes,  # noqa: F401 - its commands are on the app, and come first
)
from cli.app import Bootstrap, Json, Partitions, Replication, app, examples
from cli.where import bootstrap as broker_at

topics_app = typer.Typer(
    help="The topics: list, create, describe.",
    epilog=examples("tocsin topics", "tocsin topics create --partitions 8", "tocsin topics describe --json"),
    rich_markup_mode=None,
)
app.add_typer(topics_app, name="topics")


@topics_app.callback(invoke_without_command=True)
def topics(context: typer.Context) -> None:
    """The topics: list, create, describe."""
    if context.invoked_subcommand is None:
        topics_list()


@topics_app.command("list", epilog=examples("tocsin topics list --json"))
def topics_list(json: Json = False) -> None:
    """Every topic of ours; needs no broker."""

    def work() -> int:
        from cli.topics import listed

        return listed(json=json)

    raise typer.Exit(output.ended(work))


@topics_app.command("create", epilog=examples("tocsin topics create --partitions 8 --replication 3"))
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


@topics_app.command("describe", epilog=examples("tocsin topics describe"))
def topics_describe(
    bootstrap: Bootstrap = None, partitions: Partitions = 4, replication: Replication = 1, json: Json = False
) -> None:
    """Partitions and offsets of a broker's topics, and every difference from the table (then exit code 1)."""

    def work() -> int:
        from cli.topics import describe

        return describe(broker_at(bootstrap), partitions, replication, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=examples("tocsin acls", "tocsin acls worker --principal User:tocsin", "tocsin acls worker --check"))
def acls(
    role: Annotated[list[str] | None, typer.Argument(metavar="ROLE", show_default=False)] = None,
    principal: Annotated[str, typer.Option("--principal", help="Who gets it; User: and the role's name.")] = "",
    application: Annotated[str, typer.Option("--application", envvar="TOCSIN_APPLICATION")] = "tocsin",
    check: Annotated[
        bool, typer.Option("--check", help="What the broker does not allow us of it; then exit code 1.")
    ] = False,
    bootstrap: Bootstrap = None,
    json: Json = False,
) -> None:
    """What emitter, gateway, worker, fleet, analyst and operator need on a broker that denies by default: for kafka-acls."""

    def work() -> int:
        from cli import acls

        if check:
            return acls.check(role or ["worker"], broker_at(bootstrap), application, json=json)
        return acls.run(role or [], principal, application, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=examples("tocsin validate examples/slos", "tocsin validate slos channels.yaml routes.yaml --json"))
def validate(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files, or directories of *.yaml and *.yml.")],
    json: Json = False,
) -> None:
    """Check OpenSLO, channels and routes files. Every mistake with file, line, column and hint; then the exit code is 1."""

    def work() -> int:
        from cli.validate import run

        return run(paths, json=json)

    raise typer.Exit(output.ended(work))


@app.command(epilog=examples("tocsin slo", "tocsin slo checkout --json", "tocsin slo --check && ./deploy"))
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
    epilog=examples(
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
    epilog=examples(
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


@app.command(epilog=examples("tocsin explain 5b6c", "tocsin explain 77aa01d2c3b4e5f6 --json | jq .deliveries"))
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


@app.command(epilog=examples("tocsin ack 5b6c", "tocsin ack 5b6c --as ada --note 'rolling back' --json"))
def ack(
    wanted: Incident, bootstrap: Bootstrap = None, who: Who = "", note: Note = "", wait: Wait = 10.0, json: Json = False
) -> None:
    """Acknowledge an incident: somebody is at it. Its channels are told; a rise in severity takes it back."""
    raise typer.Exit(output.ended(_asking("acknowledge", wanted, bootstrap, who, note, wait, json=json)))


@app.command(epilog=examples("tocsin resolve 5b6c", "tocsin resolve 5b6c --note 'false alarm' --wait 0"))
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


@app.command(epilog=examples("tocsin doctor", "tocsin doctor --json --no-probe"))
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
