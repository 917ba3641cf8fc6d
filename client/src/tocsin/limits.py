"""Limits of the client: every bound in one place, with its unit.

What: constants only. Why: whoever embeds the client must be able to read, on one page, the most that it can hold or
send. It refuses to hold behaviour. The wire limits equal those that the platform's decoder enforces.
"""

from __future__ import annotations

# Wire limits; a record beyond them would be refused by the platform as a whole.
BATCH_MEASUREMENTS = 4_096  # measurements in one TelemetryBatch
BATCH_SERIES = 512  # series in one TelemetryBatch
RECORD_BYTES = 1_048_576  # one encoded record
LABELS = 16  # labels of a series, resource attributes included
LABEL_KEY_CHARS = 64
LABEL_VALUE_CHARS = 256
METRIC_CHARS = 128
UNIT_CHARS = 64
SOURCE_CHARS = 128
VALUE_BOUND = float(2**43)  # |value| must be below
TIME_BOUND_MS = 2**53  # 0 <= time_ms < bound
DELTA_BOUND_MS = 2**32 - 1  # largest distance in time within one batch
TRACE_BYTES = 16
LOG_BODY_CHARS = 8_192  # a longer text is cut; a record of all that is allowed stays below RECORD_BYTES
LOG_ATTRIBUTES = 32
LOG_VALUE_CHARS = 1_024
LOG_BATCH_RECORDS = 1_024  # records in one LogBatch
LOG_BATCH_BYTES = 524_288  # of them; one more may go beyond it
LONG_BYTES = 10  # the longest number in Avro

# Bounds of what the client keeps in the host's memory.
BUFFER_MEASUREMENTS = 100_000  # waiting or sent and not yet acknowledged
BUFFER_BYTES = 16 * 1_048_576  # encoded and not yet acknowledged
MAX_SERIES = 2_000  # distinct series of one client; the rest folds into the overflow series
STICKY_SERIES = 128  # a batch's series table is reused, unchanged, up to this size: the decoder knows its bytes
LOG_BUFFER_RECORDS = 10_000  # log records waiting or sent and not yet acknowledged
LOG_BUFFER_BYTES = 4 * 1_048_576  # of those that wait
LOG_HELD_BYTES = 8 * 1_048_576  # in batches, not yet acknowledged
LOG_WAKE_AT = 512  # records that wait before the pump is woken

# Bounds of the spool.
SEGMENT_BYTES = 4 * 1_048_576  # of one file
GROUP_BYTES = 4 * 1_048_576  # encoded batches that are written before one sync
SPOOL_BYTES = 256 * 1_048_576  # on the disk, what earlier runs left included
SPOOL_LOGS_BYTES = 64 * 1_048_576  # on the disk beside it, log records
SPOOL_BYTES_MIN = 16 * 1_048_576
SPOOL_AGE = 7 * 86_400.0  # seconds; older batches are dropped
CLOCK_WAS_SET_MS = 1_577_836_800_000  # 2020: a wall clock before it was never set, whatever confirms it

OWED_BYTES = 65_536  # of a file with losses that are still to be told

# Bounds of a request to a gateway.
REQUEST_BYTES = 1_048_576  # framed batches, before compression; one more may go beyond it
REQUEST_RECORDS = 64
ANSWER_BYTES = 1_048_576

# Times, in seconds.
RETRY_AFTER_MOST = 3_600.0  # a gateway cannot silence us for longer
CATCH_UP_AGE = 10.0  # a batch older than this is sent at the pace of catching up
CATCH_UP_JITTER = 5.0
CATCH_UP_RATE = 4 * 1_048_576  # bytes a second
ADOPT_EVERY = 30.0  # between two looks for what processes that are no more left behind
DISK_RETRY = 0.5
FLUSH_INTERVAL = 0.5
EXIT_DEADLINE = 2.0  # for all clients of the process together
SIGNAL_DEADLINE = 1.0  # for all clients to keep what is recorded, before the host goes its own way to its end
RETRY_FIRST = 0.1
RETRY_MOST = 5.0
TELL_EVERY = 10.0  # between two times that the client tells how much it took
TURN = 0.25  # how long `flush` waits, whatever its own timeout, for a turn of the background thread to end
FORK_WAIT = 1.0  # how long a fork waits for a batch that is being encoded
