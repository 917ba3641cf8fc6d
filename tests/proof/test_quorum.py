"""Who leads is what the nodes say; what is none of it is an error."""

from __future__ import annotations

import socket
import struct

import pytest

from proof import quorum
from streams.topics import admin


def answer(leader: int = 3, error: int = 0, of_partition: int = 0, correlation: int = quorum.CORRELATION) -> bytes:
    topic = bytes([len(quorum.TOPIC) + 1]) + quorum.TOPIC
    head = struct.pack(">ibh", correlation, 0, error) + b"\x02" + topic + b"\x02"
    return head + struct.pack(">ihi", 0, of_partition, leader) + b"the rest"


def test_the_leader_is_read_out_of_an_answer() -> None:
    assert quorum.leader_in(answer()) == 3


@pytest.mark.parametrize("wrong", [{"leader": -1}, {"error": 41}, {"of_partition": 6}, {"correlation": 8}])
def test_an_answer_that_names_nobody_is_an_error(wrong: dict[str, int]) -> None:
    with pytest.raises(quorum.NoLeader):
        quorum.leader_in(answer(**wrong))


def test_nobody_who_answers_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(quorum.NoLeader, match=rf"127\.0\.0\.1:{port}"):
        quorum.leader(f"127.0.0.1:{port}")


def test_a_real_cluster_names_one_of_its_nodes(bootstrap: str) -> None:
    assert quorum.leader(bootstrap) in admin(bootstrap).list_topics(timeout=10).brokers
