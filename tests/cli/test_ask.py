"""Acknowledging and resolving: the incident's own partition, who asked, and the answer that came."""

from __future__ import annotations

import dataclasses
import getpass
import json
import re
import socket
from collections.abc import Callable

import pytest
from typer.testing import Result

from cli import ask
from cli.ask import Asked
from cli.output import UNREACHABLE, Stop
from schemas.records import Command, IncidentTransition
from tests.cli.build import INCIDENT, T0, FakeLog

Run = Callable[..., Result]
PARTITION = 3
ACKNOWLEDGED = dataclasses.replace(
    INCIDENT, number=2, state="acknowledged", actor="ada", reason="acknowledged by a person", at_ms=T0 + 9_000
)
CLOSED = dataclasses.replace(INCIDENT, number=2, state="resolved", actor="ada", reason="resolved by a person")


class Office:
    """Where commands go; `answer` is what the worker writes then."""

    def __init__(self, log: FakeLog) -> None:
        self.log, self.sent = log, []
        self.answer: list[IncidentTransition] = []

    def send(self, bootstrap: str, asked: Asked) -> None:
        self.sent.append((bootstrap, asked))
        for one in self.answer:
            self.log.put("incidents", one, one.incident_id, one.at_ms, asked.partition)

    @property
    def command(self) -> Command:
        return self.sent[-1][1].command


@pytest.fixture
def office(log: FakeLog, monkeypatch: pytest.MonkeyPatch) -> Office:
    """One incident, open, in partition 3."""
    log.topics["incidents"].clear()
    log.put("incidents", INCIDENT, INCIDENT.incident_id, INCIDENT.at_ms, PARTITION)
    made = Office(log)
    monkeypatch.setattr(ask, "send", made.send)
    return made


@pytest.mark.parametrize("wanted", ["bb01", "aa01", "cc01000000000001", "dd01"])
def test_a_command_goes_to_the_partition_of_its_incident(run: Run, office: Office, wanted: str) -> None:
    office.answer = [ACKNOWLEDGED]
    found = run("ack", wanted, "--as", "ada", "--bootstrap", "kafka:9092", "--note", "on it")
    assert found.exit_code == 0
    assert found.stdout == "bb01000000000001 Checkout acknowledged: acknowledged by a person by ada\n"
    ((bootstrap, asked),) = office.sent
    assert (bootstrap, asked.partition) == ("kafka:9092", PARTITION)
    command = asked.command
    assert (command.kind, command.target, command.actor) == ("acknowledge", INCIDENT.incident_id, "ada")
    assert command.arguments == {"note": "on it"}
    assert re.fullmatch(r"[0-9a-f]{32}", command.command_id)
    assert office.log.closed == 1


def test_resolve_and_json(run: Run, office: Office) -> None:
    joined = dataclasses.replace(INCIDENT, number=2, reason="alert joined")  # is no answer
    other = dataclasses.replace(CLOSED, incident_id="ee01")
    office.answer = [joined, other, dataclasses.replace(CLOSED, number=3)]
    found = run("resolve", "bb01", "--json")
    assert found.exit_code == 0
    told = json.loads(found.stdout)
    assert told == {
        "incident_id": "bb01000000000001", "state": "resolved", "number": 3, "actor": "ada",
        "reason": "resolved by a person", "at_ms": CLOSED.at_ms, "command_id": office.command.command_id, "obeyed": True,
    }  # fmt: skip
    assert office.command.kind == "resolve"


def test_who_asks_unless_it_is_said(run: Run, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    office.answer = [ACKNOWLEDGED]
    run("ack", "bb01")
    assert office.command.actor == f"{getpass.getuser()}@{socket.gethostname()}"
    monkeypatch.setattr(getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("no name")))
    assert ask.whoami() == f"unknown@{socket.gethostname()}"
    monkeypatch.setenv("TOCSIN_ACTOR", "grace")
    office.log.topics["incidents"] = office.log.topics["incidents"][:1]
    run("ack", "bb01")
    assert office.command.actor == "grace"


def test_what_is_so_already_is_not_asked_for_again(run: Run, office: Office) -> None:
    office.log.put("incidents", ACKNOWLEDGED, INCIDENT.incident_id, T0, PARTITION)
    found = run("ack", "bb01")
    assert (found.exit_code, office.sent) == (0, [])
    assert "acknowledged by a person by ada" in found.stdout
    assert "nothing was sent" in found.stderr
    office.answer = [dataclasses.replace(CLOSED, number=3)]
    assert run("resolve", "bb01").exit_code == 0


def test_what_is_over_is_1(run: Run, office: Office) -> None:
    office.log.put("incidents", CLOSED, INCIDENT.incident_id, T0, PARTITION)
    found = run("ack", "bb01")
    assert (found.exit_code, found.stdout, office.sent) == (1, "", [])
    assert "it is over: resolved by a person by ada" in found.stderr


def test_no_such_incident_is_1_and_two_are_2(run: Run, office: Office) -> None:
    assert run("ack", "ffff").exit_code == 1
    office.log.put("incidents", dataclasses.replace(INCIDENT, incident_id="bb02", alert_ids=(), transition_ids=()))
    assert run("ack", "bb0").exit_code == 2
    office.log.topics["incidents"].clear()
    found = run("resolve", "aa01")
    assert found.exit_code == 1
    assert "an alert without an incident" in found.stderr
    assert office.sent == []


def test_silence_is_no_answer(run: Run, office: Office) -> None:
    found = run("ack", "bb01", "--wait", "0.2")
    assert (found.exit_code, found.stdout) == (3, "")
    assert office.command.command_id in found.stderr
    assert "tocsin doctor" in found.stderr


def test_without_waiting_it_is_only_said_that_it_was_sent(run: Run, office: Office) -> None:
    found = run("ack", "bb01", "--wait", "0")
    assert found.exit_code == 0
    assert f"open: command {office.command.command_id} was sent" in found.stdout
    assert json.loads(run("ack", "bb01", "--wait", "0", "--json").stdout)["obeyed"] is False


def test_what_nobody_can_read_is_passed_over(run: Run, office: Office) -> None:
    office.log.put("incidents", b"nonsense", "", T0, PARTITION)
    office.log.put("incidents", None, "gone", T0, PARTITION)
    office.answer = [ACKNOWLEDGED]
    assert run("ack", "bb01").exit_code == 0


def test_a_broker_that_is_away_is_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "SEND_S", 0.3)
    command = Command("c", "resolve", "bb01", "ada", T0, {})
    with pytest.raises(Stop, match="not sent") as stop:
        ask.send("127.0.0.1:1", Asked(command, 0, 1))
    assert stop.value.code == UNREACHABLE
