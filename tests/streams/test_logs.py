"""Logs as lines: one form for ours and for the libraries', no colour into files, the exception in it."""

import json
import logging

import pytest
import structlog

from streams import logs


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_json_lines_for_ours_and_for_libraries(capsys):
    logs.start("json", "INFO")
    structlog.get_logger("streams.stage").info("restored", fence=41)
    structlog.contextvars.bind_contextvars(worker="w1")
    logging.getLogger("aiokafka").warning("heartbeat %s", "late")
    structlog.contextvars.clear_contextvars()
    ours, theirs = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["fence"], ours["level"]) == ("restored", 41, "info")
    assert (theirs["event"], theirs["worker"], theirs["level"]) == ("heartbeat late", "w1", "warning")


def test_console_lines_have_no_colour_in_a_file(capsys):
    logs.start("console", "INFO")
    structlog.get_logger("x").warning("worker_ends", code=70)
    line = capsys.readouterr().err
    assert "worker_ends" in line
    assert "code=70" in line
    assert "\x1b" not in line


def test_an_exception_is_in_the_record(capsys):
    logs.start("json", "INFO")
    try:
        raise ValueError("no such thing")
    except ValueError:
        structlog.get_logger("x").exception("step_failed")
    assert "no such thing" in json.loads(capsys.readouterr().err)["exception"]


def test_levels_below_are_silent(capsys):
    logs.start("console", "WARNING")
    structlog.get_logger("x").info("hidden")
    assert "hidden" not in capsys.readouterr().err
