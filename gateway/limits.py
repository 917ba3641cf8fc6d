"""Limits of the gateway: every bound on size, time and number that it keeps, by name.

What: constants with their units. Why: whoever may reach the port is a stranger, and each resource that a stranger can
make us spend has a bound here. It refuses to hold what an operator may change: that is `settings`.
"""

from __future__ import annotations

from typing import Final

# -- one request

BODY_BYTES: Final = 8 << 20  # as it comes, before it is unfolded
UNFOLDED_BYTES: Final = 16 << 20  # the client sends 2 MiB at most
JSON_BYTES: Final = 4 << 20  # it becomes objects, thirty times as large
UNFOLD_RATIO: Final = 200  # telemetry compresses to a tenth, repetition to a hundredth; only a bomb goes beyond
FREE_UNFOLD_BYTES: Final = 1 << 20  # below this size a ratio says nothing
FIRST_UNFOLD_BYTES: Final = 1 << 18
UNFOLD_HERE_BYTES: Final = 1 << 13  # larger compressed bodies unfold beside the loop, one at a time
UNFOLD_STEP_BYTES: Final = 1 << 17
GZIP_MEMBERS: Final = 64  # each costs a copy of what follows it
RECORDS: Final = 1_024  # batches in one body
MEASUREMENTS: Final = 200_000  # in one JSON body
DETAIL_CHARS: Final = 200
HEADER_FIELDS: Final = 64
HEADER_BYTES: Final = 8_190  # of one field and of the request line
FRAMING_BYTES: Final = 1 << 20  # of a body in chunks, beside the body: a byte a chunk would be six times as much
SEND_BYTES: Final = 1 << 17  # of an answer, in the kernel; the largest answer has about as much
LINGER_BYTES: Final = 1 << 20  # of what was refused for good; of what may come again, a whole body

# -- uploads that go on

UPLOADS: Final = 4_096  # known at once
UPLOADS_EACH: Final = 16  # of one credential
UPLOAD_BYTES: Final = 16 << 30
UPLOAD_IDLE_S: Final = 86_400.0  # then it is forgotten
APPEND_BYTES: Final = 64 << 20  # of one PATCH; they are not held
APPEND_GROUP_BYTES: Final = 1 << 18  # that have come in before their records are taken
APPEND_RECORDS: Final = 64  # acknowledged at once
APPEND_HELD_BYTES: Final = 3 << 20  # of memory: a record that is not whole, what is behind it, and the records taken
APPEND_S: Final = 40.0

# -- time, in seconds

HEAD_S: Final = 10.0  # from the connection, or the first byte of a request, to the end of its headers
BODY_S: Final = 20.0  # to the end of its body
REQUEST_S: Final = 45.0  # to the end of the answer; then the connection is cut
HANDSHAKE_S: Final = 10.0  # TLS
KEEP_ALIVE_S: Final = 60.0
CUT_S: Final = 0.5  # for what does not end by itself when we do
LINGER_S: Final = 2.0  # for them

# -- fairness on one thread

TURN_S: Final = 0.003  # of one body's elements, before others get a turn
ELEMENTS: Final = 1 << 19  # resources, series, labels and points of one body; 8 MiB of good ones have fewer
LARGE_BYTES: Final = 1 << 15  # below, a body is read and converted at once, within some milliseconds
LARGE_RECORD_BYTES: Final = 1 << 17  # 4,096 measurements of some series take 64 KiB and 1 ms, a hostile record a second
LARGE_WAIT_S: Final = 10.0  # of a large body, for the ones before it
BESIDE_S: Final = 10.0  # for one body in the process beside us; the slowest form at its limit takes one or two
BESIDE_NICE: Final = 5
SERIES_PIECE: Final = 256  # of remote write, that come back at once
SERIES_BYTES: Final = 1 << 20  # of one series of remote write

# -- Kafka

LINGER_MS: Final = 2
QUEUE_RECORDS: Final = 100_000
POLL_S: Final = 0.1
PROBE_S: Final = 1.0  # how long one question to the broker may take, and between two of them
SPARE_S: Final = 2.0  # beyond the delivery timeout, for the report of a delivery to come

# -- the spool

SPOOL_SEGMENT_BYTES: Final = 16 << 20  # of one file; one group may go beyond it
SPOOL_GROUP_BYTES: Final = 4 << 20  # written before one sync
SPOOL_READ_BYTES: Final = 2 << 20  # sent to Kafka at once; more than the largest record
SPOOL_RETRY_S: Final = 5  # of a client, when it is full
SPOOL_LOOK_S: Final = 0.2  # between two looks for a broker, or for something to send

# -- fairness among tenants

FAIR_FROM: Final = 0.5  # of the memory: beyond it, tenants hold equal parts
ALONE: Final = 0.75  # of the memory, at most, for one tenant, whoever else is there
SHED_FROM: Final = 0.6  # of the memory: beyond it, only records that an SLO reads
SHED_RETRY_S: Final = 2
QUOTA_TENANTS: Final = 4_096  # whose buckets are remembered
QUOTA_SOURCES: Final = 65_536
QUOTA_SERIES: Final = 1_000_000  # remembered for all tenants together; beyond it the counting begins anew
SERIES_WINDOW_S: Final = 3_600.0

# -- credentials

KEYS_LOOK_S: Final = 1.0  # between two looks at the file of keys
JWKS_AGE_S: Final = 600.0  # then the issuer's keys are asked for again
JWKS_PAUSE_S: Final = 10.0  # between two questions to the issuer, whatever comes
JWKS_TIMEOUT_S: Final = 3.0
JWKS_BYTES: Final = 1 << 18
TOKEN_LEEWAY_S: Final = 30  # by which clocks may differ
SCRIPT_AGE_S: Final = 3_600  # how long a browser may keep the page's script without asking
PREFLIGHT_S: Final = 600  # how long a browser may remember a preflight

# -- OTLP

OTLP_BYTES: Final = 8 << 20  # unfolded: it becomes objects, ten times as large
HISTOGRAM_VALUES: Final = 10_000  # values that one histogram point may stand for
HISTOGRAM_BUCKETS: Final = 1_024
LOG_BATCH_BYTES: Final = 3 << 18  # texts of one batch of log records: with the rest it is below RECORD_BYTES
OTLP_ATTRIBUTES: Final = 1_024  # of one resource, point or log record, before any is looked at
OTLP_EXEMPLARS: Final = 64  # of one point: the last ones
VALUE_ITEMS: Final = 1 << 14  # of one list or map; the text of so many is longer than any text that is taken

# -- what is remembered

KINDS: Final = 10_000  # types of Prometheus metric families, of one tenant
STREAMS: Final = 200_000  # last points of cumulative streams, by protocol
RECENT_RECORDS: Final = 1 << 16  # acknowledged ones, to know a repeat
