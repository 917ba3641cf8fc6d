"""What a client loses is known to the platform: by reason in the rollups, and as a share in an SLO's status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tocsin import Client, MemoryTransport

from demo.workers import ROOT
from schemas.records import SloStatus
from tests.integration.plant import Plant, Seen, plant

pytestmark = [pytest.mark.broker, pytest.mark.timeout(150)]

UNIT = 1 << 20
TAKEN, BAD, GIVEN_UP = 200, 5, 7


@pytest.fixture(scope="module", name="plant")
def watching_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """One whose only objective is the example's."""
    path = ROOT / "examples" / "telemetry-loss.yaml"
    with plant(tmp_path_factory.mktemp("plant"), TOCSIN_SLO_PATH=str(path)) as made:
        yield made


def client(way: str | MemoryTransport, spool: Path) -> Client:
    return Client(
        transport=way, kind="web", service="shop", source="shop-1", flush_interval=60.0, spool=str(spool), catch_up_jitter=0.0,
        labels_allow=["route"], max_series=1,
    )  # fmt: skip


def test_losses_come_out_by_reason_and_as_a_share(plant: Plant, tmp_path: Path) -> None:
    away = client(MemoryTransport(), tmp_path)
    away._pump.backlog.commit = lambda: 0  # type: ignore[method-assign]  # a disk that takes nothing
    for number in range(GIVEN_UP):
        away.gauge("cart.size", route="/").set(number)
    assert not away.close(0.2)
    with client(f"kafka://{plant.bootstrap}", tmp_path) as made:
        gauge = made.gauge("cart.size", route="/")
        for number in range(TAKEN):
            gauge.set(number)
        for _ in range(BAD):
            gauge.set(float("nan"))
        assert made.flush(30), made.stats
    seen = Seen(plant.tap)

    def told() -> dict[str, float]:
        found: dict[str, float] = {}
        for (identity, _), cell in seen.cells().items():
            if identity[0].startswith("tocsin.client."):
                labels = dict(identity[4])
                assert labels.pop("service") == "shop"
                key = " ".join((identity[0].removeprefix("tocsin.client."), *labels.values()))
                found[key] = found.get(key, 0.0) + float(cell.total)
        return found

    lost = BAD + GIVEN_UP
    expected = {
        "refused not_a_number": BAD, "dropped given_up": GIVEN_UP, "measurements lost": lost, "measurements taken": TAKEN,
    }  # fmt: skip
    plant.until("the losses by reason", lambda: told() == expected)
    status = plant.record(
        "the share", SloStatus, lambda s: s.slo == "telemetry-loss" and s.total == (TAKEN + lost) * UNIT
    ).record
    assert (status.good, dict(status.labels)) == (TAKEN * UNIT, {"service": "shop"})
    assert status.state == "exhausted", "twelve of 212 are more than one in a thousand"
