"""`tocsin demo`, `up`, `worker`, `fleet`, `gateway`: the commands that start processes, and keys for a gateway.

What: names, options and help; each body is one call, which loads its file. Why apart: what runs is one page, what asks is
`cli.main`. It refuses to hold work.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import output
from cli.app import Bootstrap, Json, Partitions, Replication, app, examples
from cli.where import bootstrap as broker_at


@app.command(
    epilog=examples("tocsin demo", "tocsin demo --rate 200 --workers 3", "tocsin demo --verify --seed 7"),
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


@app.command(epilog=examples("tocsin up", "tocsin up --workers 0 --keep", "tocsin up --json | jq -r .bootstrap"))
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


@app.command(epilog=examples("tocsin worker", "TOCSIN_SLO_PATH=slos tocsin worker --bootstrap kafka-1:9092"))
def worker(bootstrap: Bootstrap = None) -> None:
    """One worker process. Configured by TOCSIN_* variables."""

    def work() -> int:
        from cli.worker import run

        return run(bootstrap)

    raise typer.Exit(output.ended(work))


@app.command(
    epilog=examples("tocsin fleet", "tocsin fleet --check mapping.toml", "tocsin fleet --mapping > mapping.toml")
)
def fleet(
    bootstrap: Bootstrap = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="Every mistake in a mapping, and end.")
    ] = None,
    mapping: Annotated[
        bool, typer.Option("--mapping", help="The mapping that is shipped, to stdout, and end.")
    ] = False,
) -> None:
    """One adapter process: fleet-telemetry's topics to telemetry. Configured by TOCSIN_FLEET_* variables."""

    def work() -> int:
        from cli.fleet import run

        return run(bootstrap, check, shipped=mapping)

    raise typer.Exit(output.ended(work))


@app.command(
    epilog=examples("tocsin gateway", "TOCSIN_GATEWAY_PORT=8080 tocsin gateway --bootstrap kafka-1:9092"),
)
def gateway(bootstrap: Bootstrap = None) -> None:
    """One gateway process: telemetry over HTTP in, Kafka out. Configured by TOCSIN_GATEWAY_* variables."""

    def work() -> int:
        from cli.gateway import run

        return run(broker_at(bootstrap))

    raise typer.Exit(output.ended(work))


@app.command("gateway-key", epilog=examples("tocsin gateway-key shop-web"))
def gateway_key(
    name: Annotated[str, typer.Argument(metavar="ID", help="Id of the key: small letters, digits and dashes.")],
) -> None:
    """A new API key for a gateway: its text to stdout, once; its hash, for the file of keys, to stderr."""

    def work() -> int:
        from cli.gateway import new_key

        return new_key(name)

    raise typer.Exit(output.ended(work))
