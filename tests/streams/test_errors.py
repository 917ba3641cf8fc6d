"""The one way out of a worker, and messages that say what to do."""

import subprocess
import sys

import pytest

from streams import errors


def test_a_docstring_is_the_message():
    error = errors.FenceBelowLog(place="telemetry[3]", fence=9, low=50, missing=40)
    assert str(error).startswith(
        "telemetry[3]: state is complete to offset 9, but the log now begins at 50: 40 records"
    )
    assert "\n" not in str(error)
    assert isinstance(error, errors.FenceOutsideLog)


@pytest.mark.parametrize("kind", [kind for kind in vars(errors).values() if isinstance(kind, type)])
def test_each_error_can_be_said(kind):
    facts = dict.fromkeys(("place", "fence", "low", "high", "missing", "reason", "begins", "topic", "size"), "x")
    if issubclass(kind, errors.ShellError):
        assert "{" not in str(kind(**facts))


def test_what_no_restart_mends_is_for_a_person():
    assert errors.code_of(errors.OutputRefused(topic="t", size=9, reason="x")) == errors.EXIT_PERSON
    assert errors.code_of(errors.FenceBelowLog(place="p", fence=1, low=2, missing=1)) == errors.EXIT_PERSON
    assert errors.code_of(errors.DeliveryFailed(reason="x")) == errors.EXIT_RESTART
    assert errors.code_of(ValueError("x")) == errors.EXIT_RESTART


@pytest.mark.parametrize("code", [errors.EXIT_RESTART, errors.EXIT_PERSON])
def test_the_process_ends_at_once_with_its_code_and_reason(code):
    script = f"""
import atexit, threading
from streams import errors, logs
logs.start("json", "INFO")
atexit.register(print, "a flush that could acknowledge")
threading.Thread(target=threading.Event().wait).start()
errors.end_process({code}, "delivery failed")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert "delivery failed" in done.stderr
    assert "flush" not in done.stdout
