"""What is done to records has had its effect, and only that one, or the row fails. Without a broker."""

from __future__ import annotations

import contextlib
import os
import types

import pytest

from proof import bombs
from proof.faults import Step
from proof.gate import peak_mb
from proof.harm import Unexpected
from tests.proof.test_nemesis import Playing, nemesis

UNFOLDS = b"tocsin: batch refused: telemetry[1] offsets 7 to 7: 4214551 bytes unfold beyond 67108864"
NOTES = {
    7: UNFOLDS,
    8: b"tocsin: batch refused: telemetry[1] offsets 8 to 8: 99 bytes declare 167772160, the limit is 1",
}


class Taking(Playing):
    """Whose worker is this process, and whose dead letters are what they are told to be."""

    def __init__(self, noted: dict[int, bytes], eaten_mb: int = 0) -> None:
        super().__init__()
        self.bootstrap, self.unfolding, self.figures = "", set[tuple[int, int]](), {}
        self.cluster = types.SimpleNamespace(bootstrap="")
        self.workers = types.SimpleNamespace(pid=lambda name: os.getpid(), names=["worker-1"])
        originals = {(place, offset): text for place in range(4) for offset, text in noted.items()}
        self.watch = types.SimpleNamespace(audit=types.SimpleNamespace(originals=originals))
        self.eaten_mb, self.held_back = eaten_mb, b""

    @contextlib.contextmanager
    def quiet(self):
        yield

    def append(self, bootstrap: str, partition: int, batches: list[bytes]) -> list[int]:
        self.held_back = b"x" * (self.eaten_mb << 20)
        return [7, 8]

    def note(self, **figures: float) -> None:
        self.figures = figures


def bombed(field: Taking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bombs, "append", field.append)
    monkeypatch.setattr(bombs, "MADE", {"gzip": (1, lambda: b"small"), "snappy": (2, lambda: b"small")})
    nemesis(field).act(Step("bombs"))


def test_bombs_are_noted_as_such_and_stepped_over_by_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Taking(NOTES)
    bombed(field, monkeypatch)
    assert {offset for _, offset in field.unfolding} == {7, 8}
    assert field.figures["bombs_memory_mb"] < 20


@pytest.mark.parametrize(
    "text", [b"tocsin: batch refused: telemetry[1] offsets 7 to 7: 3 records in 9 bytes", b"\0" * 99]
)
def test_a_letter_of_another_reason_is_an_error(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unexpected, match="noted, but for another reason"):
        bombed(Taking({**NOTES, 8: text}), monkeypatch)


def test_memory_that_grew_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unexpected, match=r"a worker's memory grew by (19|20|21)\d MB"):
        bombed(Taking(NOTES, eaten_mb=200), monkeypatch)


def test_a_peak_is_told_afresh() -> None:
    peak_mb(os.getpid(), afresh=True)
    before = peak_mb(os.getpid())
    grown = b"x" * (100 << 20)
    assert peak_mb(os.getpid()) >= before + 100
    del grown
    assert peak_mb(os.getpid()) >= before + 100
    assert peak_mb(os.getpid(), afresh=True) < before + 50
