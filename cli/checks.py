"""Checks: what `tocsin doctor` looks at, one function each.

What: a check answers ok, warn or fail, what it found, and what to do. Why: a dead dependency should name itself, its
cause and the next step. It refuses to raise: whatever goes wrong in a check is that check's answer. It leaves nothing
behind: the probe's topic is deleted again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from cli import where

ANSWER_S = 5.0
CLOCK_WARN_MS = 1_000
CLOCK_FAIL_MS = 30_000  # half of what makes an event one "from the future"
QUIET_MS = 15_000  # a worker writes a heartbeat each second


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One answer."""

    name: str
    status: Literal["ok", "warn", "fail"]
    found: str
    do: str = ""


def settings(environment: Mapping[str, str]) -> Check:
    """Whether the TOCSIN_* variables make settings."""
    from access.environment import BadSettings
    from streams.settings import load

    try:
        found = load()
    except BadSettings as error:
        return Check("settings", "fail", "; ".join(error.problems), "correct the variables that are named")
    given = sorted(name for name in environment if name.startswith("TOCSIN_"))
    return Check(
        "settings", "ok", f"{found.partitions} partitions; {len(given)} variables set: {', '.join(given) or 'none'}"
    )


def objectives() -> Check:
    """Whether the SLO files load."""
    from alerts.config import BadConfig, read_config

    path = Path(os.environ.get("TOCSIN_SLO_PATH", "examples/slos"))
    if not path.exists():
        return Check(
            "SLOs", "fail", f"{path} does not exist", "set TOCSIN_SLO_PATH to a file or directory of OpenSLO files"
        )
    try:
        found = read_config(path)
    except BadConfig as error:
        more = f" and {len(error.problems) - 1} more" if len(error.problems) > 1 else ""
        return Check("SLOs", "fail", f"{error.problems[0]}{more}", f"tocsin validate {path}")
    return Check("SLOs", "ok", f"{len(found.slos)} in {path}, configuration {found.hash}")


def java() -> Check:
    """Whether the embedded broker has a Java."""
    from local.errors import LocalError
    from local.java import java as binary

    try:
        found = binary()
    except LocalError as error:
        return Check("Java", "warn", str(error), "only the embedded broker needs it; `make env` installs it")
    return Check("Java", "ok", str(found))


def disk() -> Check:
    """Whether the embedded broker has room."""
    from local.choice import home_dir
    from local.limits import DISK_FREE_MIN_BYTES

    home = home_dir()
    there = next(path for path in (home, *home.parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        do = "make it a directory that you may write to, or set TOCSIN_HOME to another one"
        return Check("disk", "fail", f"{there} takes no files", do)
    free = shutil.disk_usage(there).free
    text = f"{free / 2**30:.1f} GiB free at {there}"
    if free < DISK_FREE_MIN_BYTES:
        return Check("disk", "fail", text, "free some space, or set TOCSIN_HOME to a directory on another disk")
    return Check("disk", "ok", text)


def port(bootstrap: str) -> Check:
    """Whether anything listens where the broker should be."""
    host, _, number = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    try:
        socket.create_connection((host.strip("[]") or "127.0.0.1", int(number)), ANSWER_S).close()
    except ValueError:
        return Check("port", "fail", f"{bootstrap} is no host:port", "write it as in 127.0.0.1:9092")
    except OSError as error:
        do = "start a broker with `tocsin up`, or name yours in TOCSIN_BOOTSTRAP"
        return Check("port", "fail", f"nothing listens at {bootstrap}: {error.strerror or error}", do)
    return Check("port", "ok", f"{bootstrap} takes connections")


def broker(bootstrap: str) -> Check:
    """Whether a Kafka broker answers there."""
    from confluent_kafka import KafkaException

    from access.environment import BadSettings
    from access.refusals import Ear
    from streams.topics import BrokerRefuses, admin, unavailable

    began = time.monotonic()
    try:
        security = where.security()
    except BadSettings as error:
        return Check("broker", "fail", "; ".join(error.problems), "correct the variables that are named")
    ear = Ear(security.principal)
    client = admin(bootstrap, security, ear)
    try:
        found = client.list_topics(timeout=ANSWER_S)
    except KafkaException as error:
        why = unavailable(client, error.args[0], ear, bootstrap)
        if isinstance(why, BrokerRefuses):
            return Check("broker", "fail", *str(why).rsplit("; ", 1))
        do = "is it Kafka that listens there, and does its advertised.listeners name an address that you can reach?"
        return Check("broker", "fail", f"no metadata from {bootstrap}: {error.args[0].str()}", do)
    took = (time.monotonic() - began) * 1000
    return Check("broker", "ok", f"cluster {found.cluster_id}, {len(found.brokers)} brokers, answered in {took:.0f} ms")


def topics(bootstrap: str, partitions: int, replication: int) -> Check:
    """Whether the topics are there, with their settings."""
    from streams.topics import TOPICS, TopicsUnavailable, drift

    try:
        found = drift(bootstrap, partitions, replication, security=where.security())
    except TopicsUnavailable as error:
        return Check("topics", "fail", str(error), "see the broker's check")
    missing = [one.topic for one in found if one.what == "topic"]
    other = [
        f"{one.topic}: {one.what} is {one.found}, should be {one.expected}" for one in found if one.what != "topic"
    ]
    if missing:
        return Check("topics", "fail", f"missing: {', '.join(missing)}", "tocsin topics create")
    if other:
        return Check("topics", "fail", "; ".join(other), "settings decide about correctness: change them on the broker")
    return Check("topics", "ok", f"all {len(TOPICS)} there, with {partitions} partitions and their settings")


def probe(bootstrap: str, clock_ms: Callable[[], int]) -> list[Check]:
    """Whether a record is taken, how fast, and how far the broker's clock is from ours; through a topic of its own."""
    from confluent_kafka import KafkaError, KafkaException, Message, Producer
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    name = f"tocsin.doctor.{uuid.uuid4().hex[:8]}"
    security = where.security().librdkafka()
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0, **security})
    stamps: list[int] = []
    errors: list[str] = []

    def acknowledged(error: KafkaError | None, message: Message) -> None:
        if error is None:
            stamps.append(message.timestamp()[1])
        else:
            errors.append(error.str())

    try:
        topic = NewTopic(name, 1, 1, config={"message.timestamp.type": "LogAppendTime"})
        client.create_topics([topic], operation_timeout=ANSWER_S)[name].result(ANSWER_S)
        fixed = {"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0, "linger.ms": 0}
        producer = Producer({**fixed, **security})
        producer.produce(name, b"warm", on_delivery=acknowledged)
        producer.flush(ANSWER_S)
        before = clock_ms()
        producer.produce(name, b"probe", on_delivery=acknowledged)
        producer.flush(ANSWER_S)
        after = clock_ms()
    except KafkaException as error:
        return [
            Check(
                "write",
                "fail",
                f"{name}: {error.args[0].str()}",
                "may you create topics there? (--no-probe skips this)",
            )
        ]
    except TimeoutError:
        return [Check("write", "fail", f"{name} was not made within {ANSWER_S:.0f} s", "look at the broker's log")]
    finally:
        with contextlib.suppress(KafkaException, TimeoutError):
            client.delete_topics([name], operation_timeout=ANSWER_S)[name].result(ANSWER_S)
    if errors or len(stamps) < 2:
        return [Check("write", "fail", "; ".join(errors) or "no acknowledgement", "look at the broker's log")]
    return [Check("write", "ok", f"a record was acknowledged in {after - before} ms"), clock(stamps[-1], before, after)]


def clock(stamp_ms: int, before_ms: int, after_ms: int) -> Check:
    """The broker's stamp lies between the two readings of our clock, or the clocks differ by at least the rest."""
    off = stamp_ms - after_ms if stamp_ms > after_ms else min(0, stamp_ms - before_ms)
    text = (
        f"the broker's clock is {abs(off) / 1000:.3f} s {'ahead' if off > 0 else 'behind'}"
        if off
        else "as the broker's"
    )
    if abs(off) >= CLOCK_FAIL_MS:
        return Check(
            "clock", "fail", text, "set the clocks (NTP): events from the future are refused by the broker's clock"
        )
    if abs(off) >= CLOCK_WARN_MS:
        return Check("clock", "warn", text, "set the clocks (NTP)")
    return Check("clock", "ok", text)


def workers(newest_heartbeat_ms: int | None, now_ms: int) -> Check:
    """Whether somebody aggregates: workers write to telemetry.partials each second, whatever comes in."""
    do = "start one with `tocsin worker`"
    if newest_heartbeat_ms is None:
        return Check("workers", "warn", "no worker has written yet", do)
    age = now_ms - newest_heartbeat_ms
    text = f"the last heartbeat is {age / 1000:.1f} s old"
    return Check("workers", "ok", text) if age < QUIET_MS else Check("workers", "warn", text, do)


def registry(url: str) -> Check:
    """Whether the schema registry answers."""
    if not url.startswith(("http://", "https://")):
        return Check(
            "registry", "fail", "TOCSIN_REGISTRY_URL is no http address", "write it as in http://127.0.0.1:8081"
        )
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/subjects", timeout=ANSWER_S) as answer:
            return Check("registry", "ok", f"{url} answers {answer.status}")
    except (urllib.error.URLError, OSError, ValueError) as error:
        do = "start it, or unset TOCSIN_REGISTRY_URL to go without"
        return Check("registry", "fail", f"{url}: {getattr(error, 'reason', error)}", do)


def channels(path: str, environment: Mapping[str, str]) -> list[Check]:
    """Whether the channels file is whole, and whether each channel's host takes a connection. Nobody is told anything."""
    from sinks.channels import BadChannels, read_channels

    try:
        found = read_channels(Path(path), environment)
    except BadChannels as error:
        return [Check("channels", "fail", "; ".join(map(str, error.problems)), f"correct {path} or set the variables")]
    except OSError as error:
        return [Check("channels", "fail", f"{path}: {error.strerror}", "correct TOCSIN_CHANNELS_PATH")]
    return [_reachable(name, str(getattr(channel.sink, "url", ""))) for name, channel in found.by_name.items()]


def _reachable(name: str, url: str) -> Check:
    parts = urllib.parse.urlsplit(url)
    number = parts.port or {"https": 443, "smtp": 587, "smtps": 465}.get(parts.scheme, 80)
    try:
        socket.create_connection((parts.hostname or "", number), ANSWER_S).close()
    except OSError as error:
        do = "is outgoing traffic allowed, and the address right?"
        return Check(f"channel {name}", "fail", f"{parts.hostname}:{number}: {error.strerror or error}", do)
    return Check(f"channel {name}", "ok", f"{parts.hostname}:{number} takes connections (nothing was sent)")
