"""Pump: takes rows from the recorder, has them encoded, hands batches to the transport and follows each to its end.

What: one background thread that wakes by time or by size; `cycle` is one turn, and may be run by any thread. Why: what
was accepted is either acknowledged, rejected for good, or still held, in memory or in the spool: an unknown result is
sent again with the same (source, boot, sequence), in order, for as long as it takes. It refuses to drop: when nothing
gets through, its bounds fill up and the recorder refuses new measurements.
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from time import monotonic, sleep

from tocsin import limits, names
from tocsin.buffer import Buffer
from tocsin.encode import Batch
from tocsin.errors import Full, Rejected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    from tocsin.backlog import Backlog
    from tocsin.transport import OnResult, Transport

    class Encodes(Protocol):
        """What makes batches of rows. `key` decides their partition."""

        boot: str
        key: bytes

        def encode(self, rows: Sequence[Any], definitions: Sequence[names.Definition]) -> list[Batch]:
            """Batches, in order, each with the next sequence."""


class Pump:
    """Owns the encoder and everything unacknowledged. State changes only under `lock`."""

    def __init__(
        self,
        recorder: Buffer,
        definitions: Sequence[names.Definition],
        encoder: Encodes,
        transport: Transport,
        backlog: Backlog,
        batch_size: int,
        window: int,
        interval: float,
        before_cycle: Callable[[], None],
        on_outage: Callable[[], None],
    ) -> None:
        self.recorder = recorder
        self.definitions = definitions
        self.transport = transport
        self.backlog = backlog
        self.batch_size = batch_size
        self.window = window
        self.interval = interval
        self.before_cycle = before_cycle
        self.on_outage = on_outage
        self.reset(encoder)

    def reset(self, encoder: Encodes) -> None:
        """As after construction; also in a forked child, where the parent's batches are the parent's business."""
        self.encoder = encoder
        self.key = encoder.key
        self.lock = Lock()
        self.results: SimpleQueue[tuple[Batch, Exception | None]] = SimpleQueue()
        self.again: list[Batch] = []  # to be sent once more, in the order in which they were sent first
        self.sent: dict[Batch, int] = {}  # handed to the transport, result unknown -> place in that order
        self.order: dict[Batch, int] = {}
        self.taken = 0  # batches taken from the backlog
        self.sent_bytes = 0
        self.delay = 0.0
        self.not_before = 0.0
        self.delivered = self.batches = self.retries = 0
        self.rejected: dict[str, int] = {}
        self.trouble = ""  # why nothing gets through, while nothing does
        self.thread: Thread | None = None
        self.stopping = self.closing = False

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
            self.lock.acquire()
            try:
                self.cycle(tallies=True)
            finally:
                self.release()

    def cycle(self, tallies: bool = False) -> bool:
        """One turn, under the lock: results, then what must be sent again, then what is new. Never raises.

        `tallies`: the counters' sums too, unless they would have to wait: then they may as well grow. True if none was left.
        """
        try:
            return self._turn(tallies)
        except Exception as error:  # noqa: BLE001 - a fault of ours or of a transport must end neither thread nor host
            self._fault(error)
            return False

    def _fault(self, error: Exception) -> None:
        self.trouble = f"{type(error).__name__}: {error}"
        self._back_off()

    def _turn(self, tallies: bool) -> bool:
        self._collect()
        stepped = self.recorder.anchor.stepped()
        self._send()
        closed = False
        if tallies:
            self.before_cycle()
            closed = (self._takes or self.recorder.closed) and self.recorder.close_tallies()
        self.store()
        if stepped and not self.recorder.rows:
            self.recorder.anchor.settle()  # a batch never holds times of two clocks
        self.transport.flush(0)
        self._collect()
        return closed

    @property
    def _takes(self) -> bool:
        """Whether what is encoded now has a place to wait."""
        return self.backlog.open and (self.backlog.promises or not self.again)

    def store(self) -> None:
        """Encode what is recorded by now, give it to the backlog, and send what may be sent, until nothing moves.

        What others record meanwhile is the next turn's: a turn ends, and the lock is free between two of them.
        """
        upto = self.recorder.recorded + len(self.recorder.rows)
        while True:
            moved = self._encode(upto)
            promised = self.backlog.commit()
            if promised:
                self.recorder.settle(promised)
            self._send()
            if not (moved or promised) or self.recorder.recorded >= upto:
                return

    def _encode(self, upto: int) -> bool:
        """Fill the backlog's group. True if anything was taken."""
        moved = False
        while self.recorder.recorded < upto and self._takes:
            rows = self.recorder.take(self.batch_size)
            if not rows:
                break
            moved = True
            try:
                batches = self.encoder.encode(rows, self.definitions)
            except Exception as error:  # noqa: BLE001 - a fault of ours must neither end the thread nor go unseen
                self.recorder.settle(len(rows))
                self._reject(len(rows), f"unencodable: {type(error).__name__}")
            else:
                self.batches += len(batches)
                begin = self.recorder.recorded - len(rows)
                for batch in batches:
                    batch.begin = begin
                    begin += batch.rows
                self.backlog.add(batches)
        return moved

    def _send(self) -> None:
        """Offer batches, those to be sent again first; stop at the first that is not taken."""
        while monotonic() >= self.not_before and self.sent_bytes < self.window and not self.closing:
            if self.again:
                batch = self.again.pop(0)
            else:
                found = self.backlog.next()
                if found is None:
                    return
                batch = found
                self.order[batch] = self.taken
                self.taken += 1
            self._offer(batch)
            self._collect()

    def _offer(self, batch: Batch) -> None:
        self.sent[batch] = batch.size
        self.sent_bytes += batch.size
        self.retries += batch.tries > 0
        batch.tries += 1
        try:
            self.transport.send(self.key, batch.payload(), self._report_to(batch))
        except Full as error:
            self.trouble = f"Full: {error}"
            batch.tries -= 1
            self.sent_bytes -= self.sent.pop(batch)
            self._keep(batch)
            self._back_off()
        except Exception as error:  # noqa: BLE001 - whatever it is, its result is unknown: the batch is kept
            self.results.put((batch, error))

    def _keep(self, batch: Batch) -> None:
        """It is to be sent once more."""
        if self.backlog.take_back(batch):
            del self.order[batch]
        else:
            self.again.append(batch)
            self.again.sort(key=self.order.__getitem__)

    def _report_to(self, batch: Batch) -> OnResult:
        results = self.results
        return lambda error: results.put((batch, error))

    def _collect(self) -> None:
        """Take in the results that have come: done, rejected, or to be sent again."""
        while not self.results.empty():
            batch, error = self.results.get()
            if batch not in self.sent:
                continue  # a second answer for the same batch
            self.sent_bytes -= self.sent.pop(batch)
            if error is None or isinstance(error, Rejected):
                del self.order[batch]
                self.recorder.settle(self.backlog.done(batch, delivered=error is None))
                if error is None:
                    self.delivered += batch.rows
                    self.delay = 0.0
                    self.trouble = ""
                else:
                    self._reject(batch.rows, str(error) or "rejected")
            else:
                self.trouble = f"{type(error).__name__}: {error}"
                self._keep(batch)
                self.on_outage()
                self._back_off()

    def _reject(self, rows: int, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + rows

    def _back_off(self) -> None:
        now = monotonic()
        if now >= self.not_before:
            self.delay = min(limits.RETRY_MOST, self.delay * 2 or limits.RETRY_FIRST)
            self.not_before = now + self.delay

    @property
    def left(self) -> bool:
        """Whether anything is recorded or held that did not come to its end."""
        return bool(self.recorder.rows or self.again or self.sent or self.backlog.left)

    def flush(self, timeout: float) -> bool:
        """Send everything and wait for the results, up to so many seconds. True if nothing is left."""
        deadline = monotonic() + timeout
        summed = False  # whether the counters' sums of now are on their way
        while True:
            if not self.lock.acquire(timeout=max(limits.TURN, deadline - monotonic())):
                return False
            try:
                summed = self.cycle(tallies=not summed) or summed
                left = self.left or not summed
            finally:
                self.release()
            remaining = deadline - monotonic()
            if not left or remaining <= 0:
                return not left
            pause = min(remaining, 0.05)
            if self._waited(pause) == 0 and self.results.empty():
                sleep(0.001 if self.sent else pause)

    def _waited(self, pause: float) -> int:
        """How many results are missing after so many seconds at most; 0 also when the transport cannot say."""
        try:
            return self.transport.flush(pause)
        except Exception as error:  # noqa: BLE001 - as in cycle
            self._fault(error)
            return 0

    def commit(self, timeout: float) -> bool:
        """Have everything recorded before this call promised: acknowledged, or held by the spool. True if it is."""
        deadline = monotonic() + timeout
        wanted = None
        while True:
            if not self.lock.acquire(timeout=max(limits.TURN, deadline - monotonic())):
                return False
            try:
                if wanted is None and self.recorder.close_tallies():
                    wanted = self.recorder.recorded + len(self.recorder.rows)
                self.cycle()
                loose = self.backlog.loose
                promised = loose.begin if loose is not None else self.recorder.recorded
            finally:
                self.release()
            remaining = deadline - monotonic()
            done = wanted is not None and promised >= wanted
            if done or remaining <= 0:
                return done
            sleep(min(remaining, 0.01))

    def stop(self, timeout: float) -> None:
        """End the thread, if there is one, waiting up to so many seconds for its turn to end."""
        self.stopping = True
        self.recorder.wakeups.put(None)
        if self.thread is not None:
            self.thread.join(timeout=timeout)

    def close(self) -> None:
        """Let go of the backlog: now, or at the end of a turn that is under way, which may be about to write to its files."""
        self.closing = True
        self._let_go()

    def release(self) -> None:
        """End a turn."""
        self.lock.release()
        if self.closing:  # set during the turn, by whom the lock turned away
            self._let_go()

    def _let_go(self) -> None:
        if self.lock.acquire(blocking=False):
            try:
                self.backlog.close()
            finally:
                self.lock.release()
