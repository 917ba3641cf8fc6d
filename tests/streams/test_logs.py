"""Logs as lines: one form for ours and for the libraries', no colour into files, the exception in it."""

import json
import logging

import pytest
import structlog
from aiokafka import conn
from aiokafka.protocol.admin import SaslAuthenticateRequest

from streams import logs


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    requests = logging.getLogger(logs.REQUESTS)
    yield
    requests.setLevel(logging.NOTSET)
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


def test_logins_are_in_no_log_at_any_level(capsys):
    """aiokafka writes each request to its log as it is, with what a login says."""
    logs.start("console", "DEBUG")
    login = SaslAuthenticateRequest(b"\0user\0hunter2").prepare({SaslAuthenticateRequest.API_KEY: (0, 1)})
    assert "hunter2" in str(login), "aiokafka no longer shows it: then nothing has to be kept out"
    conn.log.debug("Request to %s:%d %d: %s", "127.0.0.1", 9093, 1, login)
    conn.log.warning("Unable to connect")
    logging.getLogger("aiokafka.consumer").debug("fetching")
    said = capsys.readouterr().err
    assert "hunter2" not in said
    assert "Unable to connect" in said
    assert "fetching" in said
