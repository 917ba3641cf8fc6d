"""The detour passes every byte on, or none, when it is told to."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from proof.detour import Detour

PATIENCE_S = 10.0
SHORT_S = 0.2


class Echo(socketserver.BaseRequestHandler):
    """Says what it hears."""

    def handle(self) -> None:
        while data := self.request.recv(65_536):
            self.request.sendall(data)


@pytest.fixture
def detour() -> Iterator[Detour]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server, Detour(1) as found:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        server.daemon_threads = True
        found.links[0].target = server.server_address[1]
        yield found
        server.shutdown()


def connected(detour: Detour) -> socket.socket:
    return socket.create_connection(("127.0.0.1", detour.links[0].port), PATIENCE_S)


def heard(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = connection.recv(65_536)
        assert piece, "the connection ended"
        found += piece
    return found


def test_all_bytes_pass_in_order(detour: Detour) -> None:
    data = bytes(range(256)) * 4_000
    with connected(detour) as connection:
        threading.Thread(target=connection.sendall, args=(data,)).start()
        assert heard(connection, len(data)) == data


@pytest.mark.parametrize("direction", ["up", "down"])
def test_what_a_cut_holds_back_arrives_when_it_is_healed(detour: Detour, direction: str) -> None:
    with connected(detour) as connection:
        connection.sendall(b"before")
        assert heard(connection, 6) == b"before"
        detour.cut(direction)  # type: ignore[arg-type]
        connection.sendall(b"during")
        connection.settimeout(SHORT_S)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(PATIENCE_S)
        other = "up" if direction == "down" else "down"
        assert detour.held_bytes(direction) == 6  # type: ignore[arg-type]
        assert detour.held_bytes(other) == 0  # type: ignore[arg-type]
        detour.heal()
        assert detour.held_bytes(direction) == 0  # type: ignore[arg-type]
        assert heard(connection, 6) == b"during"


def test_a_slow_link_takes_its_time(detour: Detour) -> None:
    detour.slow(0.1, 10_000)
    with connected(detour) as connection:
        begun = time.monotonic()
        connection.sendall(b"x" * 1_000)
        heard(connection, 1_000)
        assert time.monotonic() - begun >= 2 * (0.1 + 0.1)


def test_connections_are_broken_off_and_counted(detour: Detour) -> None:
    with connected(detour) as connection:
        connection.sendall(b"x")
        heard(connection, 1)
        detour.break_off()
        assert detour.broken == 1
        try:
            assert connection.recv(1) == b""
        except ConnectionError:
            pass


def test_a_way_to_nobody_is_closed_at_once(detour: Detour) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        detour.links[0].target = free.getsockname()[1]
    with connected(detour) as connection:
        try:
            assert connection.recv(1) == b""
        except ConnectionError:
            pass
