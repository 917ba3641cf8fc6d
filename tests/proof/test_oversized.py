"""What is too large says so of itself, and its sender notes what a server did; the server here is made up."""

from __future__ import annotations

import dataclasses
import gzip
import itertools
import socket
import threading
import zlib
from collections.abc import Callable, Iterator

import cramjam
import pytest

from proof import oversized
from proof.oversized import Request, sent, status_of

SECONDS = 3.0


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def served(work: Callable[[socket.socket], None]) -> int:
            def run() -> None:
                connection, _ = listening.accept()
                with connection:
                    work(connection)

            threading.Thread(target=run, daemon=True).start()
            return int(listening.getsockname()[1])

        yield served


def endless() -> Request:
    return Request("zeros", frozenset({413}), itertools.repeat(bytes(1_000)))


def test_a_server_that_answers_and_ends(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    def refuses(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")

    fate = sent(endless(), "127.0.0.1", serve(refuses), SECONDS)
    assert (fate.good, fate.status) == (True, 413)
    assert 0 < fate.answered_s <= fate.ended_s < SECONDS
    assert fate.sent >= 1_000


def test_a_server_that_swallows_everything(serve: Callable[[Callable[[socket.socket], None]], int]) -> None:
    def swallows(connection: socket.socket) -> None:
        while connection.recv(1 << 16):
            pass

    fate = sent(endless(), "127.0.0.1", serve(swallows), 0.3)
    assert (fate.good, fate.status, fate.answered_s, fate.ended_s) == (False, 0, 0.0, 0.0)
    assert fate.sent > 1 << 20


def test_bombs_unfold_to_a_gigabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oversized, "UNFOLDED_BYTES", 64 << 20)
    found = oversized.bombs()
    with pytest.raises(EOFError):  # only its end is missing
        gzip.decompress(found["gzip"])
    assert len(zlib.decompressobj().decompress(found["deflate"])) == 64 << 20
    assert len(bytes(cramjam.zstd.decompress(found["zstd"]))) == 64 << 20
    assert cramjam.snappy.decompress_raw_len(found["snappy"]) == 1 << 30
    assert max(map(len, found.values())) < 1 << 20


def test_each_kind_has_a_name_and_goes_on_for_longer_than_anybody_reads() -> None:
    found = oversized.requests()
    assert len({one.name for one in found}) == len(found) == 11
    for one in found:
        begin = b"".join(itertools.islice(one.pieces, 3))
        assert begin.startswith((b"POST /v1/telemetry HTTP/1.1\r\n", b"GET /"))
    assert sum(len(piece) for piece in oversized.gathered(b"X-%d: v\r\n" % n for n in range(50_000))) > 500_000


def test_a_status_is_read_as_far_as_it_came() -> None:
    assert [status_of(text) for text in (b"HTTP/1.1 413 X\r\n", b"HTTP/1.1 4", b"", b"HTTP/1.1", b"a bc d")] == [
        413,
        0,
        0,
        0,
        0,
    ]


def test_what_became_of_it_is_plain_json() -> None:
    assert dataclasses.asdict(oversized.Fate("a", True, 413, 1, 0.1, 0.2))["sent"] == 1
