"""Quorum: which node leads the cluster's metadata, asked of the nodes themselves.

What: Kafka's DescribeQuorum request and as much of its answer as names the leader. Why: clients are told of some node that
passes their wishes on, and no client library of ours asks for the one that decides. It refuses any other topic.
"""

from __future__ import annotations

import socket
import struct

TOPIC = b"__cluster_metadata"
API, VERSION, CORRELATION = 55, 0, 7
ANSWER_S = 2.0


class NoLeader(RuntimeError):
    """No node says who leads the quorum"""


def request() -> bytes:
    """For the one partition of the metadata. Compact arrays and strings say one more than they hold; 0 ends each structure."""
    head = struct.pack(">hhih", API, VERSION, CORRELATION, 5) + b"proof\0"
    topic = bytes([len(TOPIC) + 1]) + TOPIC + b"\x02" + struct.pack(">i", 0) + b"\0\0"
    body = head + b"\x02" + topic + b"\0"
    return struct.pack(">i", len(body)) + body


def leader_in(answer: bytes) -> int:
    """The leader's number out of an answer without its length. Raises NoLeader."""
    correlation, _, error = struct.unpack_from(">ibh", answer)
    at = 8 + len(TOPIC) + 2  # after the number of topics and the name; then that of partitions
    if correlation != CORRELATION or error or answer[7:at] != b"\x02" + bytes([len(TOPIC) + 1]) + TOPIC + b"\x02":
        raise NoLeader(f"{NoLeader.__doc__}: error {error}, {answer[:at].hex()}")
    _, error, leader = struct.unpack_from(">ihi", answer, at)
    if error or leader < 0:
        raise NoLeader(f"{NoLeader.__doc__}: error {error}, leader {leader}")
    return int(leader)


def leader(bootstrap: str) -> int:
    """The node that leads, as the first that answers has it. Raises NoLeader."""
    said = []
    for place in bootstrap.split(","):
        host, _, port = place.rpartition(":")
        try:
            with socket.create_connection((host, int(port)), ANSWER_S) as connection:
                connection.settimeout(ANSWER_S)
                connection.sendall(request())
                size = int.from_bytes(_whole(connection, 4), "big")
                return leader_in(_whole(connection, size))
        except (OSError, NoLeader) as error:
            said.append(f"{place}: {error!r}")
    raise NoLeader(f"{NoLeader.__doc__}: {'; '.join(said)}")


def _whole(connection: socket.socket, size: int) -> bytes:
    """So many bytes. Raises OSError."""
    found = b""
    while len(found) < size:
        piece = connection.recv(size - len(found))
        if not piece:
            raise ConnectionError("the connection ended")
        found += piece
    return found
