"""Words, times, tables, and how failures end."""

from __future__ import annotations

import json

import pytest
from rich.text import Text

from cli import output
from cli.output import Stop, age_text, clean, ended, labels_text, span_text, table, time_text


def test_times_say_their_zone() -> None:
    assert time_text(1_764_000_000_007) == "2025-11-24 16:00:00.007 UTC"
    assert [time_text(at) for at in (0, -5, 2**63 - 1)] == ["-", "-", "-"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0.0 s"),
        (89_900, "89.9 s"),
        (90_000, "1.5 min"),
        (7_200_000, "2 h"),
        (259_200_000, "3 d"),
        (-7_200_000, "-2 h"),
    ],
)
def test_ages(ms: int, text: str) -> None:
    assert age_text(ms) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(10_000, "10s"), (300_000, "5m"), (90_000, "90s"), (86_400_000, "1d"), (500, "0.5s")]
)
def test_spans(ms: int, text: str) -> None:
    assert span_text(ms) == text


def test_labels_are_in_order() -> None:
    assert labels_text({"b": "2", "a": "1"}) == "{a=1, b=2}"
    assert labels_text({}) == ""


def test_what_does_not_print_is_replaced() -> None:
    assert clean("a\x1b[2J\u202e\nü") == "a\ufffd[2J\ufffd\ufffdü"


def test_a_table_aligns_and_ends_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    table(("A", "LONG"), [("x", Text("y", style="red")), ("\x1bxyz", "")])
    assert capsys.readouterr().out == "A     LONG\nx     y\n\ufffdxyz\n"


def test_colour_only_where_it_is_wanted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    output.say(output.coloured("burning"))
    assert "\x1b[" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    output.say(Text("burning", style="red"))
    assert "\x1b[31m" not in capsys.readouterr().out


def test_a_stop_says_what_where_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> int:
        raise Stop(3, "no broker", "a:1\nb:2", "start one")

    assert ended(work) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: no broker\n  where a:1\n        b:2\n  to do start one\n"


def test_other_ends() -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert ended(interrupted) == 130
    assert ended(lambda: 1) == 1


def test_json_is_one_document_in_utf8(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"a": "ü\x1b"})
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert json.loads(text) == {"a": "ü\x1b"}
