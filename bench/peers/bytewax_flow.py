"""A peer: Bytewax with a tumbling fold, doing the same work.

`python -m bytewax.run bench.peers.bytewax_flow -r DIRECTORY -s 5 -b 0`: a recovery store with a snapshot each 5 s (as often
as Quix commits), one worker thread, its own Kafka source and sink. Windows close by its event clock, which also runs on with the system's.
Refuses to be clever.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from bytewax import operators
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.operators import windowing

from bench.peers import work

REPORT_S = 0.5
BATCH = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
done = 0


def decoded(message: KafkaSourceMessage[bytes, bytes]) -> work.Event:
    """The event of a record; each record comes by here once."""
    global done  # noqa: PLW0603 - one counter of one script
    done += 1
    return work.decoded(message.value)


def series(event: work.Event) -> str:
    """What is grouped by."""
    return event["key"]


def event_time(event: work.Event) -> datetime:
    """The time that windows follow."""
    return datetime.fromtimestamp(event["time_ms"] / 1000, UTC)


def merged(left: work.Cell, right: work.Cell) -> work.Cell:
    """Tumbling windows never merge; the operator asks for it all the same."""
    raise NotImplementedError


def told(row: tuple[str, tuple[int, work.Cell]]) -> KafkaSinkMessage[bytes, bytes]:
    """A closed window as the harness reads it."""
    key, (number, cell) = row
    return KafkaSinkMessage(key.encode(), work.result(number * work.WINDOW_MS, cell))


def tell(every: threading.Event) -> None:
    """Progress, from a thread of its own."""
    while not every.wait(REPORT_S):
        work.report(done=done)


flow = Dataflow("peer")
source = KafkaSource([work.BOOTSTRAP], [work.TOPIC], tail=True, batch_size=BATCH)
records = operators.input("telemetry", flow, source)
keyed = operators.key_on("series", operators.map("decode", records, decoded), series)
clock = windowing.EventClock(event_time, wait_for_system_duration=timedelta(milliseconds=work.GRACE_MS))
windower = windowing.TumblingWindower(align_to=EPOCH, length=timedelta(milliseconds=work.WINDOW_MS))
windows = windowing.fold_window("windows", keyed, clock, windower, work.empty, work.fold, merged)
operators.output("results", operators.map("tell", windows.down, told), KafkaSink([work.BOOTSTRAP], work.RESULTS))
threading.Thread(target=tell, args=(threading.Event(),), daemon=True).start()
