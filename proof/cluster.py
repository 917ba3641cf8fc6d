"""Cluster: three combined KRaft nodes on this machine, each to be started, stopped, killed and frozen by itself.

What: `local.kafka`'s embedded broker three times, with copies of everything on all three and writes acknowledged by at
least two. Why: what a dead broker costs can't be seen with one. It refuses to elect a leader that lacks acknowledged
records, unless it is made with `unclean`: a control that must lose.
"""

from __future__ import annotations

import base64
import os
import signal
import time
import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from confluent_kafka import KafkaException

from local.java import BRIEF
from local.kafka import EmbeddedBroker, Seat
from local.process import free_port
from proof import quorum
from streams.topics import admin

NODES = 3
IN_SYNC = 2
ANSWER_S = 10.0


class NoAnswer(RuntimeError):
    """The cluster does not say what was asked of it"""


def seats(nodes: int, cluster: str, detours: Iterable[int] = ()) -> list[Seat]:
    """Places of all nodes, on free ports. `detours`: ports of proxies, one a node."""
    told = list(detours)
    controllers = tuple(free_port() for _ in range(nodes))
    return [
        Seat(node, free_port(), controllers, cluster, nodes, min(IN_SYNC, nodes), (free_port(), told[node - 1]))
        if told
        else Seat(node, free_port(), controllers, cluster, nodes, min(IN_SYNC, nodes))
        for node in range(1, nodes + 1)
    ]


class Cluster:
    """The nodes, by number from 1. A context manager."""

    def __init__(self, directory: Path, detours: Iterable[int] = ()) -> None:
        cluster = "T" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")[1:]
        self.seats = seats(NODES, cluster, detours)
        self.nodes = {
            seat.node: EmbeddedBroker(directory / f"node-{seat.node}", seat=seat, keep=False, options=BRIEF)
            for seat in self.seats
        }
        self.kills = 0

    @property
    def bootstrap(self) -> str:
        """All nodes, as clients take them."""
        return ",".join(f"127.0.0.1:{seat.port}" for seat in self.seats)

    @property
    def running(self) -> list[int]:
        """Numbers of the nodes whose process lives."""
        return [node for node, broker in self.nodes.items() if broker.running]

    def start(self, *nodes: int) -> None:
        """Start those nodes (all by default) at once: two of three must be there before any answers."""
        with ThreadPoolExecutor(NODES) as pool:
            for answer in [pool.submit(self.nodes[node].start) for node in nodes or self.nodes]:
                answer.result()

    def kill(self, *nodes: int) -> None:
        """SIGKILL."""
        for node in nodes:
            self.kills += 1
            self.nodes[node].kill()

    def stop(self, *nodes: int) -> None:
        """End in good order."""
        for node in nodes:
            self.nodes[node].stop()

    def freeze(self, node: int) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        os.kill(self.nodes[node].pid, signal.SIGSTOP)

    def thaw(self, node: int) -> None:
        """SIGCONT."""
        os.kill(self.nodes[node].pid, signal.SIGCONT)

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition. Raises NoAnswer."""
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            try:
                leader = admin(self.bootstrap).list_topics(topic, timeout=2).topics[topic].partitions[partition].leader
            except (KafkaException, KeyError):
                continue
            if leader in self.nodes:
                return int(leader)
        raise NoAnswer(f"{NoAnswer.__doc__}: the leader of {topic}[{partition}]")

    def controller(self) -> int:
        """The node that decides for all of them. Raises NoLeader."""
        return quorum.leader(self.bootstrap)

    def decides(self) -> int:
        """The same; 0 while nobody does, or nobody says so."""
        try:
            return self.controller()
        except quorum.NoLeader:
            return 0

    def healed(self) -> bool:
        """Whether all nodes are back, and every partition has all its copies in sync."""
        try:
            found = admin(self.bootstrap).list_topics(timeout=2)
        except KafkaException:
            return False
        places = [place for topic in found.topics.values() for place in topic.partitions.values()]
        return len(found.brokers) == NODES and all(len(place.isrs) == len(place.replicas) for place in places)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *unused: object) -> None:
        for broker in self.nodes.values():
            if broker.running:
                broker.kill()
