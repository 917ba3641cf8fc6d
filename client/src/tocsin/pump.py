"""Pump: takes rows from the recorder, has them encoded, hands batches to the transport and follows each to its end.

What: one background thread that wakes by time or by size; `cycle` is one turn, and may be run by any thread. Why: what
was accepted is either acknowledged, rejected for good, or still held: an unknown result is sent again with the same
(source, boot, sequence), in order, for as long as it takes. It refuses to drop: when nothing gets through, its bounds
fill up and the recorder refuses new measurements.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from time import monotonic, sleep

from tocsin import limits, names
from tocsin.encode import Batch, Encoder
from tocsin.errors import Full, Rejected
from tocsin.recorder import Recorder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tocsin.transport import OnResult, Transport


class Pump:
    """Owns the encoder and everything unacknowledged. State changes only under `lock`."""

    def __init__(
        self,
        recorder: Recorder,
        definitions: Sequence[names.Definition],
        encoder: Encoder,
        transport: Transport,
        batch_size: int,
        buffer_bytes: int,
        interval: float,
        before_cycle: Callable[[], None],
    ) -> None:
        self.recorder = recorder
        self.definitions = definitions
        self.transport = transport
        self.batch_size = batch_size
        self.buffer_bytes = buffer_bytes
        self.interval = interval
        self.before_cycle = before_cycle
        self.reset(encoder)

    def reset(self, encoder: Encoder) -> None:
        """As after construction; also in a forked child, where the parent's batches are the parent's business."""
        self.encoder = encoder
        self.key = encoder.source.encode()
        self.lock = Lock()
        self.results: SimpleQueue[tuple[Batch, Exception | None]] = SimpleQueue()
        self.waiting: list[Batch] = []  # to be sent, or sent again; ordered by sequence
        self.sent: set[Batch] = set()  # handed to the transport, result unknown
        self.held_bytes = 0
        self.delay = 0.0
        self.not_before = 0.0
        self.delivered = self.batches = self.retries = 0
        self.rejected: dict[str, int] = {}
        self.thread: Thread | None = None
        self.stopping = False

    def start(self) -> None:
        """Start the thread, and give the recorder its room. At interpreter exit threads cannot start: then without."""
        with self.recorder.lock:
            if self.recorder.room or self.recorder.closed:
                return
            self.recorder.settle(0)
            self.thread = Thread(target=self._run, name="tocsin-pump", daemon=True)
            try:
                self.thread.start()
            except RuntimeError:
                self.thread = None

    def _run(self) -> None:
        while not self.stopping:
            try:
                self.recorder.wakeups.get(timeout=self.interval)
            except Empty:
                pass
            with self.lock:
                self.cycle(tallies=True)

    def cycle(self, tallies: bool = False) -> None:
        """One turn, under the lock: results, then what must be sent again, then what is new."""
        self._collect()
        stepped = self.recorder.anchor.stepped()
        if monotonic() >= self.not_before:
            self._send_waiting()
            if tallies:
                self.before_cycle()
                self.recorder.close_tallies()
            while not self.waiting and self.held_bytes < self.buffer_bytes:
                rows = self.recorder.take(self.batch_size)
                if not rows:
                    break
                try:
                    self._admit(self.encoder.encode(rows, self.definitions))
                except Exception as error:  # noqa: BLE001 - a fault of ours must neither end the thread nor go unseen
                    self._lose(len(rows), f"unencodable: {type(error).__name__}")
                self._send_waiting()
        if stepped and not self.recorder.rows:
            self.recorder.anchor.settle()  # a batch never holds times of two clocks
        self.transport.flush(0)
        self._collect()

    def _admit(self, batches: list[Batch]) -> None:
        for batch in batches:
            self.batches += 1
            self.held_bytes += batch.size
            self.waiting.append(batch)

    def _send_waiting(self) -> None:
        """Offer the waiting batches in order; stop at the first that is not taken."""
        while self.waiting:
            batch = self.waiting.pop(0)
            self.sent.add(batch)
            self.retries += batch.tries > 0
            batch.tries += 1
            try:
                self.transport.send(self.key, batch.payload(), self._report_to(batch))
            except Full:
                batch.tries -= 1
                self.sent.discard(batch)
                self.waiting.insert(0, batch)
                self._back_off()
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, its result is unknown: the batch is kept
                self.results.put((batch, error))
                self._collect()
                if self.waiting:
                    return

    def _report_to(self, batch: Batch) -> OnResult:
        results = self.results
        return lambda error: results.put((batch, error))

    def _collect(self) -> None:
        """Take in the results that have come: done, rejected, or to be sent again."""
        while not self.results.empty():
            batch, error = self.results.get()
            if batch not in self.sent:
                continue  # a second answer for the same batch
            self.sent.discard(batch)
            if error is None or isinstance(error, Rejected):
                self.held_bytes -= batch.size
                if error is None:
                    self.recorder.settle(batch.rows)
                    self.delivered += batch.rows
                    self.delay = 0.0
                else:
                    self._lose(batch.rows, str(error) or "rejected")
            else:
                self.waiting.append(batch)
                self.waiting.sort(key=lambda held: held.sequence)
                self._back_off()

    def _lose(self, rows: int, reason: str) -> None:
        self.recorder.settle(rows)
        self.rejected[reason] = self.rejected.get(reason, 0) + rows

    def _back_off(self) -> None:
        now = monotonic()
        if now >= self.not_before:
            self.delay = min(limits.RETRY_MOST, self.delay * 2 or limits.RETRY_FIRST)
            self.not_before = now + self.delay

    def flush(self, timeout: float) -> bool:
        """Send everything and wait for the results, up to so many seconds. True if nothing is left."""
        deadline = monotonic() + timeout
        first = True
        while True:
            if not self.lock.acquire(timeout=max(limits.TURN, deadline - monotonic())):
                return False
            try:
                self.cycle(tallies=first)
                left = bool(self.recorder.rows or self.waiting or self.sent)
            finally:
                self.lock.release()
            first = False
            remaining = deadline - monotonic()
            if not left or remaining <= 0:
                return not left
            pause = min(remaining, 0.05)
            if self.transport.flush(pause) == 0 and self.results.empty():
                sleep(pause if self.waiting else 0.001)

    def stop(self, timeout: float) -> None:
        """End the thread, if there is one, waiting up to so many seconds for its turn to end."""
        self.stopping = True
        self.recorder.wakeups.put(None)
        if self.thread is not None:
            self.thread.join(timeout=timeout)
