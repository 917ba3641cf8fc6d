"""A crowd of slow clients, and a server that lets go of some of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator

import pytest

from proof.slowloris import crowd, held, summed


@pytest.fixture
def server() -> Iterator[Callable[[float], int]]:
    """Lets go after so many seconds of whoever has sent something, without an answer. 0: of nobody."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    writers: list[asyncio.StreamWriter] = []
    listeners: list[asyncio.Server] = []

    def listening(seconds: float) -> int:
        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            if seconds and await reader.read(1):
                await asyncio.sleep(seconds)
                writer.transport.abort()

        listener = asyncio.run_coroutine_threadsafe(asyncio.start_server(served, "127.0.0.1", 0), loop).result(5)
        listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def ended() -> None:
        for listener in listeners:
            listener.close()
        for writer in writers:
            writer.transport.abort()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    yield listening
    asyncio.run_coroutine_threadsafe(ended(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_of_twenty_nine_are_heads_nine_bodies_and_one_each_is_silent_and_does_not_read() -> None:
    kinds = [one.kind for one in crowd(20)]
    assert kinds == [one.kind for one in crowd(40)][20:]
    assert {kind: kinds.count(kind) for kind in kinds} == {"silence": 1, "reader": 1, "head": 9, "body": 9}


def test_who_is_let_go_is_timed_and_who_is_not_says_so(server: Callable[[float], int]) -> None:
    found = {one.kind: one for one in summed(held("127.0.0.1", server(0.6), 10, 1.5))}
    assert {kind: one.let_go for kind, one in found.items()} == {"head": 4, "body": 4, "silence": 0, "reader": 1}
    assert all(0.5 <= found[kind].longest_s < 1.5 for kind in ("head", "body", "reader"))
    assert found["silence"].longest_s == 0.0


def test_a_server_that_waits_for_everybody(server: Callable[[float], int]) -> None:
    assert all(one.let_go == 0 for one in summed(held("127.0.0.1", server(0.0), 10, 0.7)))
