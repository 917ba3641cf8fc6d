"""Play: what the ledger booked is what a foreign consumer finds in the topic, and in order."""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka.admin import AdminClient, NewTopic
from tocsin import MemoryTransport
from tocsin.kafka import KafkaTransport

from demo.audit import TopicReader
from demo.ledger import Cells, add, cells_of
from demo.play import Player, unreadable
from demo.story import script
from demo.wire import NotARecord, read_batch


def test_history_ends_at_the_present_and_goes_on_in_order() -> None:
    memory = MemoryTransport()
    now_ms = time.time_ns() // 1_000_000
    player = Player(script(now_ms + 1_000, 1), memory, web_rate=10)
    said: list[str] = []
    player.backfill(now_ms - 400_000, said.append)
    player.start()
    time.sleep(0.7)
    player.stop()
    assert player.failure is None
    assert any("to go" in line for line in said)
    newest: dict[tuple[str, int], int] = {}
    for key, value in memory.records:
        batch = read_batch(value)
        assert int(batch.time_ms.max()) <= time.time_ns() // 1_000_000
        if not batch.source.startswith("vehicle"):
            assert int(batch.time_ms.min()) >= newest.get((batch.source, 0), 0), "slices follow each other"
            newest[batch.source, 0] = int(batch.time_ms.max())
        assert key == batch.source.encode()
    assert sum(player.ledger.published.values()) == sum(client.stats.delivered for client in player.clients)
    assert player.ledger.published["desktop"] > 0
    assert player.ledger.unknown == 0


def test_a_source_that_fails_is_seen() -> None:
    player = Player(script(0, 1), MemoryTransport())
    player._live = (object(),)  # type: ignore[assignment]
    player.start()
    time.sleep(0.5)
    player._live = ()
    player.stop()
    assert isinstance(player.failure, AttributeError)


def test_a_foreign_consumer_finds_what_the_ledger_booked(bootstrap: str, unique: Callable[[str], str]) -> None:
    topic = unique("telemetry")
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for answer in admin.create_topics([NewTopic(topic, 4, 1)]).values():
        answer.result(20)
    now_ms = time.time_ns() // 1_000_000
    player = Player(script(now_ms, 1), KafkaTransport(bootstrap, topic), web_rate=20, garbage_ms=now_ms)
    player.backfill(now_ms - 60_000, lambda text: None)
    player.start()
    time.sleep(1.0)
    player.stop()
    reader = TopicReader(bootstrap, [topic], from_beginning=True)
    cells: Cells = {}
    garbage = 0
    for _ in range(30):
        for _, _, _, value in reader.poll(2_000, 0.2):
            try:
                batch = read_batch(value)
            except NotARecord:
                garbage += 1
                continue
            for key, cell in cells_of(batch):
                add(cells, key, cell)
        if cells == player.ledger.truth and garbage == player.garbage:
            break
    reader.close()
    assert garbage == player.garbage == len(unreadable(1))
    assert cells == player.ledger.truth
    assert sum(player.ledger.published.values()) > 8_000
