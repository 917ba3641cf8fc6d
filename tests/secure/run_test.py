"""Client, gateway and a group of workers, each as itself over TLS with the grants of its role: exact, and no secret told.

Two workers, one that comes with a password and one with tokens whose sessions end every few seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tocsin.gateway import GatewayTransport
from tocsin.kafka import KafkaTransport
from tocsin.security import Security

from demo.pager import stand_ins
from demo.workers import ROOT
from local.process import free_port
from streams import acls
from streams.errors import EXIT_RESTART
from tests.integration.exact_test import Bench
from tests.integration.plant import Plant, now_ms
from tests.secure.cluster import Cluster, cluster, environment
from tests.secure.issuer import Issuer, issuing

pytestmark = [pytest.mark.broker, pytest.mark.timeout(170)]

SECRETS = {"worker": "canary-of-the-worker", "second": "canary-of-the-second", "gateway": "canary-of-the-gateway"}
WORKER = acls.roles()["worker"]


@pytest.fixture(scope="module")
def issuing_here() -> Iterator[Issuer]:
    with issuing() as found:
        found.lives_s = 8.0
        found.clients.update(second=SECRETS["second"], gateway=SECRETS["gateway"])
        yield found


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, issuing_here: Issuer) -> Iterator[Cluster]:
    """A broker whose topics hold what the platform wrote and nothing else."""
    with cluster(tmp_path_factory.mktemp("secured"), issuing_here) as found:
        yield found


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory, fresh: Cluster) -> Iterator[Plant]:
    directory = tmp_path_factory.mktemp("plant")
    with stand_ins(directory) as pager:
        made = Plant(directory, fresh.plain, pager, {"TOCSIN_BOOTSTRAP": fresh.sasl})
        try:
            yield made
        finally:
            made.stop()


def with_tokens(secured: Cluster, client: str) -> dict[str, str]:
    url = f"{secured.issuer.url}/token"
    return secured.options(mechanism="OAUTHBEARER", token_url=url, client_id=client, client_secret=SECRETS[client])


def answer(port: int, path: str) -> tuple[int, str]:
    """Status and body; status 0 where nothing answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_a_worker_waits_for_its_grants_and_says_which(plant: Plant, fresh: Cluster) -> None:
    options = fresh.user("worker", password=SECRETS["worker"])
    plant.workers.start("worker", environment(options))
    plant.until("a worker that waits", lambda: "lacks" in plant.ask("/readyz")[1])
    status, why = plant.ask("/readyz")
    assert status == 503
    assert "User:worker lacks" in json.loads(why)["why"]
    assert "Write on topic telemetry.partials" in why
    assert "Read on group tocsin" in why
    assert plant.ask("/livez")[0] == 200, "nobody should restart it"
    assert plant.metric("tocsin_broker_refusals_total")['{reason="authorization"}'] >= 1
    fresh.grant("User:worker", WORKER)
    plant.until("a worker that is let in", lambda: plant.ask("/readyz")[0] == 200)


@pytest.fixture(scope="module")
def gateway(plant: Plant, fresh: Cluster) -> Iterator[tuple[str, int]]:
    """URL and health port of one that runs as a process."""
    fresh.grant("User:gateway", acls.roles()["gateway"])
    port, health = free_port(), free_port()
    settings = environment(with_tokens(fresh, "gateway"), "TOCSIN_GATEWAY_")
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client" / "src")])}
    ports = {"TOCSIN_GATEWAY_PORT": str(port), "TOCSIN_GATEWAY_HEALTH_PORT": str(health)}
    with (plant.directory / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "gateway", "--bootstrap", fresh.sasl],
            env={**os.environ, **paths, **ports, **settings, "TOCSIN_GATEWAY_LOG_LEVEL": "DEBUG"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        plant.until("a gateway", lambda: answer(health, "/readyz")[0] == 200)
        yield f"http://127.0.0.1:{port}", health
        process.terminate()
        assert process.wait(30) == 0


@pytest.fixture(scope="module")
def bench(plant: Plant, fresh: Cluster, gateway: tuple[str, int]) -> Bench:
    """What is sent, straight and through the gateway, and what came of it."""
    straight = KafkaTransport(fresh.sasl, security=Security(fresh.joined("emitter", "emitter"), {}))
    return Bench(plant, straight, GatewayTransport(gateway[0]))


def test_the_whole_path_is_exact_and_tells_no_secret(
    plant: Plant, fresh: Cluster, gateway: tuple[str, int], bench: Bench
) -> None:
    fresh.grant("User:second", WORKER)
    health = free_port()
    own = environment(with_tokens(fresh, "second")) | {"TOCSIN_HEALTH_PORT": str(health), "TOCSIN_LOG_LEVEL": "DEBUG"}
    plant.workers.start("second", own)
    plant.until("a second worker", lambda: answer(health, "/readyz")[0] == 200)
    for back_ms in range(20_000, 0, -2_000):
        bench.emit(now_ms() - back_ms, count=100)
        plant.workers.check()
    bench.emit(now_ms())
    assert bench.settle().exact
    asked = [client for client, _ in fresh.issuer.asked]
    plant.until(
        "a session that is over", lambda: [c for c, _ in fresh.issuer.asked].count("second") > asked.count("second")
    )
    bench.emit(now_ms())
    assert bench.settle().exact
    plant.workers.check()
    told = [answer(port, "/metrics")[1] for port in (plant.health_port, health, gateway[1])]
    told += [path.read_text(encoding="utf-8", errors="replace") for path in Path(plant.directory).glob("*.log")]
    assert len(told) >= 6
    assert not [secret for secret in (*SECRETS.values(), "eyJ") for text in told if secret in text], "nor a token"


def test_a_worker_whose_grants_are_taken_away_ends_and_waits_and_nothing_is_lost(
    plant: Plant, fresh: Cluster, bench: Bench
) -> None:
    plant.workers.kill("second")
    fresh.revoke("User:worker", WORKER)
    bench.emit(now_ms())
    code = plant.until("its end", lambda: plant.workers.code("worker"))
    assert code == EXIT_RESTART
    log = "".join(path.read_text(encoding="utf-8") for path in plant.directory.glob("worker-*.log"))
    assert "worker_ends" in log
    assert "uthorization" in log.rpartition("worker_ends")[2]
    plant.workers.kill("worker")  # gone already: its guard goes too
    plant.workers.start("worker", environment(fresh.user("worker", password=SECRETS["worker"])))
    plant.until("a worker that waits", lambda: "User:worker lacks" in plant.ask("/readyz")[1])
    fresh.grant("User:worker", WORKER)
    plant.until("a worker that is let in", lambda: plant.ask("/readyz")[0] == 200)
    bench.emit(now_ms())

    def exact() -> bool:
        if plant.workers.code("worker") == EXIT_RESTART:  # a grant that the broker knew a moment later than the others
            plant.workers.kill("worker")
            plant.workers.start("worker", environment(fresh.user("worker", password=SECRETS["worker"])))
        return bench.verdict().exact

    plant.until("every measurement", exact)


def test_people_see_what_their_role_may_and_are_told_the_rest(plant: Plant, fresh: Cluster) -> None:
    analyst = environment(fresh.joined("analyst", "analyst"))
    rows = plant.tocsin("tail", "telemetry.rollups", "-n", "3", "--json", **analyst)
    assert (rows.code, len(rows.out.splitlines())) == (0, 3), rows.err
    raw = plant.tocsin("tail", "telemetry", "-n", "1", **analyst)
    assert (raw.code, raw.out) == (3, "")
    assert "User:analyst" in raw.err
    assert "topic telemetry" in raw.err
    operator = environment(fresh.user("operator"))
    described = plant.tocsin("topics", "describe", **operator)
    assert described.code == 0, described.out + described.err
    checked = plant.tocsin("acls", "operator", "--check", **operator)
    assert checked.code == 0, checked.out + checked.err
    lacking = plant.tocsin("acls", "worker", "--check", **operator)
    assert lacking.code == 1
    assert "User:operator lacks Write on topic telemetry.partials" in lacking.out
    wrong = plant.tocsin("doctor", "--no-probe", **operator | {"TOCSIN_KAFKA_PASSWORD": "canary-that-is-wrong"})
    assert "User:operator" in wrong.out
    assert "canary" not in wrong.out + wrong.err
