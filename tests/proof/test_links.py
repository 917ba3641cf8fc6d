"""A cut that holds nothing back, a link that never breaks and a clock that is right are errors. Without a broker."""

from __future__ import annotations

import types

import pytest

from bench.rig import Metrics
from proof.faults import Step
from proof.field import NotInTime
from proof.harm import Unexpected
from proof.writers import Writers
from tests.proof.test_nemesis import Playing, nemesis


class Far(Playing):
    """A worker behind a detour; what is held back, and what clock it has, is as told."""

    def __init__(self, held_back: dict[str, int] | None = None, ahead_s: float = 0.0, steps: int = 0) -> None:
        super().__init__()
        self.stepped, self.figures = steps, {}  # type: ignore[var-annotated]
        self.detour = types.SimpleNamespace(
            bootstrap="", broken=0, cut=lambda *ways: None, heal=lambda: None, slow=lambda *of: None,
            break_off=lambda: None, held_bytes=lambda way: (held_back or {}).get(way, 0),
        )  # fmt: skip
        self.watch = types.SimpleNamespace(writers=Writers())
        self.watch.writers.wrote(2, 0, 1, int(ahead_s * 1000), 0)
        self.load = types.SimpleNamespace(far=lambda *of: types.SimpleNamespace(
            stats=types.SimpleNamespace(delivered=1 << 20),
            outcome=lambda metric: types.SimpleNamespace(observe=lambda **of: None),
        ))  # fmt: skip

    def tally(self, **figures: float) -> None:
        self.figures |= figures

    def metrics(self, name: str) -> Metrics:
        return Metrics({"tocsin_clock_steps_total": float(self.stepped)})


@pytest.fixture(autouse=True)
def _started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.harm.Harm._restarted", lambda *of: None)


def test_a_cut_has_held_something_back_on_each_way() -> None:
    field = Far({"up": 70, "down": 5})
    nemesis(field).act(Step("cut", "worker-1=both"))
    assert field.figures == {"zombie_records": 0, "bytes_held_by_a_cut": 75}
    for way in ("down", "both"):
        with pytest.raises(Unexpected, match="nothing was held back"):
            nemesis(Far({"up": 70})).act(Step("cut", f"worker-1={way}"))


def test_a_link_on_which_nothing_breaks_is_an_error() -> None:
    with pytest.raises(Unexpected, match="no connection was broken"):
        nemesis(Far()).act(Step("slow_link"))


@pytest.mark.parametrize(
    ("clock", "ahead_s", "steps"), [("-7200", -7_199.0, 0), ("7200", 7_201.0, 0), ("7200@4", 0.0, 1)]
)
def test_a_wrong_clock_is_seen_in_what_the_worker_writes_or_says(clock: str, ahead_s: float, steps: int) -> None:
    field = Far(ahead_s=ahead_s, steps=steps)
    nemesis(field).act(Step("skew", f"worker-1={clock}"))
    assert field.killed == ["worker-1"]
    with pytest.raises(NotInTime, match=f"worker-1 with its clock at {clock}"):
        nemesis(Far(ahead_s=0.5)).act(Step("skew", f"worker-1={clock}"))


def test_a_tunnel_in_which_nothing_is_held_back_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proof.links.UP_S", 0.01)
    field = Far({"up": 9})
    found = nemesis(field)
    found.act(Step("tunnel", seconds=0.01, count=3))
    assert found.injected == 3
    with pytest.raises(Unexpected, match="nothing in its tunnel"):
        nemesis(Far()).act(Step("tunnel", seconds=0.01, count=3))
