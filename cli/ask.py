"""`tocsin ack` and `tocsin resolve`: what a person says about an incident, into the log, and what came of it.

What: finds the incident by any of its ids, sends a command to its partition, waits until the incident's own record says
that it was obeyed. Why its partition: alerts and commands of an incident are judged in one order, and the worker that
does so writes `incidents` in the same partition, so that is where it is read from. It refuses to ask for what is so
already, and to take silence for an answer: without one the exit code is 3, and the command stays in the log.
"""

from __future__ import annotations

import dataclasses
import getpass
import socket
import time
import uuid
from typing import Any

from access import refusals
from access.refusals import Ear
from cli import output, reading, where
from cli.case import Case, gathered
from cli.decoding import Decoder
from cli.output import OK, PROBLEM, UNREACHABLE, Stop, coloured
from cli.reading import Log
from schemas import codec
from schemas.corrupt import CorruptRecord
from schemas.records import Command, IncidentTransition

COMMANDS, INCIDENTS = "commands", "incidents"
#: What is asked for -> the state that it leads to.
LEADS_TO = {"acknowledge": "acknowledged", "resolve": "resolved"}
SEND_S = 10.0
LOOK_S = 0.1


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """A command on its way."""

    command: Command
    partition: int
    after: int  # number of the incident's newest transition before


def run(kind: str, wanted: str, bootstrap: str, *, actor: str, note: str, wait_s: float, json: bool) -> int:
    """Exit code 0; 1 when there is nothing to ask for any more, 3 when nobody answers (raised as Stop)."""
    log = reading.opened(bootstrap)
    try:
        case = gathered(log).find(wanted)
        last = still_open(case, wanted)
        if last.state == LEADS_TO[kind]:
            return _say(last, None, json=json)
        asked = Asked(_command(kind, case.incident_id, actor, note), case.partition, last.number)
        send(bootstrap, asked)
        if not wait_s:
            return _say(last, asked, json=json)
        found = answered(log, asked, wait_s)
    finally:
        log.close()
    return _say(found, asked, json=json)


def still_open(case: Case, wanted: str) -> IncidentTransition:
    """The newest transition. Raises Stop when there is no incident, or it is over."""
    if not case.incident:
        do = "only what a route leads to a channel, or did when it began to burn, is an incident"
        raise Stop(PROBLEM, f"{wanted!r} is an alert without an incident", INCIDENTS, do)
    last = case.incident[-1]
    if last.state == "resolved":
        who = f" by {last.actor}" if last.actor else ""
        raise Stop(PROBLEM, f"it is over: {last.reason}{who}", case.incident_id, "the next burn opens a new incident")
    return last


def whoami() -> str:
    """user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"  # a container may have a number and no name
    return f"{user}@{socket.gethostname()}"


def _command(kind: str, incident: str, actor: str, note: str) -> Command:
    now_ms = time.time_ns() // 1_000_000
    return Command(uuid.uuid4().hex, kind, incident, actor or whoami(), now_ms, {"note": note} if note else {})


def send(bootstrap: str, asked: Asked) -> None:
    """Returns when the broker has it. Raises Stop."""
    from confluent_kafka import KafkaError, KafkaException, Message, Producer

    failed: list[str] = []

    def acknowledged(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(refusals.told(error, security.principal, f"topic {COMMANDS} (Write)"))

    security = where.security()
    ear = Ear(security.principal)
    settings: dict[str, Any] = {
        "bootstrap.servers": bootstrap,
        "acks": "all",
        "enable.idempotence": True,
        "delivery.timeout.ms": int(SEND_S * 1000),
        "log_level": 0,
        "error_cb": ear,
        **security.librdkafka(),
    }
    value, key = codec.encode(asked.command), asked.command.target.encode()
    try:
        producer = Producer(settings)
        producer.produce(COMMANDS, value, key, asked.partition, on_delivery=acknowledged)
        left = producer.flush(SEND_S + 1)
    except KafkaException as error:
        failed.append(refusals.told(error.args[0], security.principal, f"topic {COMMANDS} (Write)"))
        left = 0
    if failed or left:
        why = ear.last or (failed[0] if failed else f"no acknowledgement within {SEND_S:.0f} s")
        raise Stop(UNREACHABLE, f"not sent: {why}", f"{bootstrap}, {COMMANDS}[{asked.partition}]", "`tocsin doctor`")


def answered(log: Log, asked: Asked, wait_s: float) -> IncidentTransition:
    """The incident's first newer transition that settles what was asked. Raises Stop when none comes."""
    until = time.monotonic() + wait_s
    decoder, at, wanted = Decoder(), -1, {LEADS_TO[asked.command.kind], "resolved"}
    while True:
        low, high = log.bounds(INCIDENTS)[asked.partition]
        at = max(at, low)
        for message in log.read(INCIDENTS, {asked.partition: at}, {asked.partition: high}):
            try:
                found = decoder.decode(message.value or b"")
            except CorruptRecord:
                continue
            ours = isinstance(found, IncidentTransition) and found.incident_id == asked.command.target
            if ours and isinstance(found, IncidentTransition) and found.number > asked.after and found.state in wanted:
                return found
        at = max(at, high)
        if time.monotonic() > until:
            what = f"asked, and no worker has answered within {wait_s:g} s"
            do = "is a worker running (`tocsin doctor`)? One that starts later obeys the command"
            raise Stop(UNREACHABLE, what, f"{COMMANDS}[{asked.partition}], command {asked.command.command_id}", do)
        time.sleep(LOOK_S)


def _say(last: IncidentTransition, asked: Asked | None, *, json: bool) -> int:
    """The incident's state, and who brought it there."""
    command = asked.command.command_id if asked else None
    done = not asked or last.number > asked.after
    if json:
        head = {"incident_id": last.incident_id, "state": last.state, "number": last.number, "actor": last.actor}
        output.as_json({**head, "reason": last.reason, "at_ms": last.at_ms, "command_id": command, "obeyed": done})
        return OK
    who = f" by {last.actor}" if last.actor else ""
    say = f"{last.reason}{who}" if done else f"command {command} was sent"
    output.say(f"{last.incident_id} {last.title} ", coloured(last.state), f": {say}")
    if not asked:
        output.note("it was so already; nothing was sent")
    return OK
