"""Limits of the shell: every bound on size, time and tries that a worker keeps, by name.

What: constants with their units. Why: a limit without a name is found by the first outage, and a limit that was met
must be countable. It refuses to hold what an operator may change: that is `settings`.
"""

from __future__ import annotations

from typing import Final

# -- input

#: Where the buffer for unfolding starts; it grows fourfold up to the limit of the settings.
FIRST_BUFFER_BYTES: Final = 4 << 20
#: A batch may unfold to this many times its size; text that repeats itself reaches tens, only a bomb reaches hundreds.
MAX_UNFOLD_RATIO: Final = 400
#: Below this size a ratio says nothing; common producers send batches of at most 1 MiB before compression.
FREE_UNFOLD_BYTES: Final = 4 << 20
#: Bytes handed over by one fetch of one partition, so that many full batches in one response stay bounded too.
MAX_FETCH_BYTES: Final = 32 << 20

#: How long a broker may hold an answer that has no records yet; ten questions a second when all is idle.
FETCH_WAIT_MS: Final = 100

# -- letters

LETTER_DETAIL_CHARS: Final = 500
#: A letter of fewer original bytes is not halved any more.
LETTER_BYTES_LEAST: Final = 256

# -- memory

#: Blocks from this size on are mapped by themselves, and given back when they are free. The most that glibc takes here.
HEAP_BLOCK_BYTES: Final = 32 << 20
#: Free memory at the heap's top that is kept for the next chunk.
HEAP_SPARE_BYTES: Final = 32 << 20
#: So often what is free between blocks in use is given back.
GIVE_BACK_EVERY_S: Final = 5.0

# -- output

QUEUE_RECORDS: Final = 500_000
QUEUE_KIB: Final = 256 << 10
MAX_RECORD_BYTES: Final = 8 << 20
LINGER_MS: Final = 1
#: How often deliveries are looked at while waiting for them.
POLL_S: Final = 0.002
#: One blocking look while the producer's queue is full.
FULL_POLL_S: Final = 0.05

# -- snapshots

PART_BYTES: Final = 512 << 10
MAX_PARTS: Final = 4_096
#: The pointer to the newest snapshots moves at most this often; a load reads so much more of the log at most.
POINTER_EVERY_S: Final = 5.0
#: How long to ask for the pointer, and the pauses between asking again; then the whole log is read instead.
HINT_TIMEOUT_S: Final = 5.0
HINT_WAITS_S: Final = (0.1, 0.3, 1.0)
#: One question to a partition's leader, who may have died; then the one that leads by now is asked.
ASK_S: Final = 2.0
#: Between two questions to a broker that has no answer yet.
RETRY_PAUSE_S: Final = 0.1
#: One look at the state log while loading; the deadline is checked as often.
LOAD_POLL_S: Final = 0.2

# -- time

#: How much faster or slower the worker's time goes while it is drawn towards the wall clock.
CLOCK_SLEW: Final = 0.1
#: The wall clock was set when it moved by more than this against the worker's own between two looks.
CLOCK_STEP_S: Final = 1.0

# -- start

#: For a look at the topics before the start; a broker that is slower is met again by the consumer.
START_LOOK_S: Final = 5.0
#: Between two looks whether a broker lets us in by now: from the first, doubled, to the second. Below LOOP_STALL_S.
ADMISSION_FIRST_S: Final = 1.0
ADMISSION_MOST_S: Final = 15.0

# -- judgement

WATCH_EVERY_S: Final = 2.0
#: An assignment that is not restored, or a checkpoint that is not done, after the settings' own timeouts and this.
WATCH_SLACK_S: Final = 15.0
#: The event loop stood still: not live after the first, ended by the guard thread after the second.
LOOP_STALL_S: Final = 20.0
LOOP_DEAD_S: Final = 60.0
#: A stop waits for last deliveries (`delivery_timeout_s`, 30 s) and for the group; what takes longer hangs.
STOP_DEAD_S: Final = 60.0
READY_LAG_RECORDS: Final = 10_000
#: How long an ending process may take to tell Sentry why.
LAST_WORDS_S: Final = 2.0
END_OFFSET_TIMEOUT_S: Final = 10.0
BUSY_PATIENCE: Final = 10  # times stuck_after_s: for a partition that stands while others of the worker move
