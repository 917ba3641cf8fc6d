"""What is done to records has had its effect, and only that one, or the row fails. Without a broker."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import types
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from demo.wire import read_batch
from proof import bombs, payloads
from proof.faults import Step
from proof.field import NotInTime
from proof.gate import peak_mb
from proof.harm import Unexpected
from streams.topics import DLQ
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
        letters = {(DLQ, place, offset): ("framing", text) for place in range(4) for offset, text in noted.items()}
        self.watch = types.SimpleNamespace(audit=types.SimpleNamespace(letters=letters))
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


#: A process that takes 100 MiB and gives them back, a step for each line that it is sent.
TAKES = "print(flush=True); input(); kept = b'x' * (100 << 20); print(flush=True); input(); del kept; print(flush=True); input()"


def test_a_peak_is_told_afresh() -> None:
    with subprocess.Popen([sys.executable, "-c", TAKES], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        out, into = child.stdout, child.stdin
        assert out is not None
        assert into is not None

        def step() -> float:
            out.readline()
            return peak_mb(child.pid)

        def go_on() -> None:
            into.write(b"\n")
            into.flush()

        before = step()
        go_on()
        assert step() >= before + 100
        go_on()
        assert step() >= before + 100
        assert peak_mb(child.pid, afresh=True) < before + 50
        go_on()


class Judging(Playing):
    """Whose platform gives each hostile record the fate that `judge` says, and puts `share` of what is too late aside."""

    def __init__(self, judge: Callable[[str], str] = str, share: float = 1.0) -> None:
        super().__init__()
        self.judge, self.share, self.load, self.directory = judge, share, None, Path("nowhere")
        self.letters: dict[tuple[str, int, int], tuple[str, bytes]] = {("x", 0, 0): ("older", b"")}
        self.watch = types.SimpleNamespace(audit=types.SimpleNamespace(letters=self.letters))
        self.hostile = self.late_on_purpose = self.aside = 0
        self.fates: dict[bytes, str] = {}

    def noting(self, make: Callable[[str, int], Iterable[tuple[bytes, str]]]) -> Callable[[str, int], object]:
        def made(boot: str, now_ms: int) -> list[tuple[bytes, str]]:
            found = list(make(boot, now_ms))
            self.fates |= dict(found)
            return found

        return made

    def late(self) -> int:
        return self.aside

    def publish(self, key: bytes, records: list[tuple[bytes, str]]) -> None:
        for number, (value, _) in enumerate(records):
            fate = self.judge(self.fates.get(value, "framing"))
            if fate:
                self.letters["y", 0, number] = (fate, value[:256])

    def book(self, load: object, key: bytes, values: list[bytes]) -> int:
        batches = [read_batch(value) for value in values]
        sent = sum(len(batch.series) for batch in batches)
        if not any(batch.outcome.any() for batch in batches):
            self.aside += int(sent * self.share)
        return sent


def hostile(field: Judging, monkeypatch: pytest.MonkeyPatch, action: str = "hostile") -> int:
    monkeypatch.setattr("proof.tampering.Tampering._publish", field.publish)
    for name in ("hostile", "poison"):
        monkeypatch.setattr(payloads, name, field.noting(getattr(payloads, name)))
    found = nemesis(field)
    found.act(Step(action))
    return found.injected


def test_poison_is_refused_one_by_one_and_for_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hostile(Judging(), monkeypatch, "poison") == 13
    with pytest.raises(Unexpected, match="refused or put aside as"):
        hostile(Judging(lambda fate: "value" if fate == "crc" else fate), monkeypatch, "poison")
    with pytest.raises(NotInTime, match="the fate of each record"):
        hostile(Judging(lambda fate: "" if fate == "crc" else fate), monkeypatch, "poison")


def test_each_hostile_record_has_its_fate(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Judging()
    assert hostile(field, monkeypatch) == 23
    assert field.hostile == 10  # are counted, which is looked at in the end


@pytest.mark.parametrize(("fate", "instead"), [("value", "size"), ("utf8", "framing"), ("", "value")])
def test_a_hostile_record_with_another_fate_is_an_error(
    fate: str, instead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unexpected, match="refused or put aside as"):
        hostile(Judging(lambda found: instead if found == fate else found), monkeypatch)


def test_a_hostile_record_of_which_nothing_is_heard_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotInTime, match="the fate of each record"):
        hostile(Judging(lambda found: "" if found == "future" else found), monkeypatch)


@pytest.mark.parametrize("share", [1.0, 0.5, 1.5])
def test_what_is_sent_too_late_is_put_aside_once(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Judging(share=share)
    monkeypatch.setattr("proof.tampering.book", field.book)
    if share == 1.0:
        nemesis(field).act(Step("stale", count=100))
        assert field.late_on_purpose == 200
    else:
        with pytest.raises((NotInTime, Unexpected), match="put aside"):
            nemesis(field).act(Step("stale", count=100))


def test_a_record_that_somebody_unpickles_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    field = Judging()
    field.directory = tmp_path
    (tmp_path / "unpickled").touch()
    with pytest.raises(Unexpected, match="a record was unpickled"):
        hostile(field, monkeypatch, "poison")
