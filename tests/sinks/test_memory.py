"""The fake in memory: everything that arrived is there, in order."""

from __future__ import annotations

from sinks.memory import Memory, MemoryReceiver
from sinks.port import Category, Failure, Response
from tests.sinks.build import PAGE


async def test_it_remembers_what_came_and_what_was_taken() -> None:
    receiver = MemoryReceiver(lambda: 7)
    receiver.answers(Failure(Category.TIMEOUT, "late"))
    receiver.answers(Response(500, {}, b"", 0), taking=True)
    request = Memory().request(PAGE)
    answers = [await receiver(request, 1.0) for _ in range(3)]
    assert answers == [Failure(Category.TIMEOUT, "late"), Response(500, {}, b"", 0), Response(202, {}, b"taken", 7)]
    assert len(receiver.arrivals) == 3
    assert len(receiver.taken) == 2
    assert receiver.taken[0]["summary"] == PAGE.summary
