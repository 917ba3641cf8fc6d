"""Every limit of the contract by name, with its unit.

What: what a record on the wire may hold, and how much the decoder remembers. Why: whoever sends must be able to read
in one place what is refused. It refuses to hold behaviour. The client's limits (client/src/tocsin/limits.py) are the
same or tighter.
"""

from __future__ import annotations

from typing import Final

RECORD_BYTES: Final = 1 << 20  # one telemetry record with its framing
MESSAGE_BYTES: Final = 64 << 20  # one record of the platform's own topics
BATCH_MEASUREMENTS: Final = 4_096  # measurements in one TelemetryBatch
BATCH_SERIES: Final = 512  # series in one TelemetryBatch
LABELS: Final = 16  # labels of a series, those of the resource included
LABEL_KEY_CHARS: Final = 64
LABEL_VALUE_CHARS: Final = 256
METRIC_CHARS: Final = 128
UNIT_CHARS: Final = 64
SOURCE_CHARS: Final = 128  # of `source` and of `boot`, each
ATTRIBUTES: Final = 64  # free attributes of a resource; no part of a series' identity
TRACE_BYTES: Final = 16
VALUE_BOUND: Final = float(2**43)  # |value| must be below
TIME_BOUND_MS: Final = 2**53  # 0 <= time_ms < bound: exact in a double
SCHEMA_DEPTH: Final = 32  # nesting of one record

LOG_RECORDS: Final = 1_024  # records in one LogBatch
LOG_BODY_CHARS: Final = 16_384
LOG_ATTRIBUTES: Final = 64  # of one log record
LOG_KEY_CHARS: Final = 128
LOG_VALUE_CHARS: Final = 4_096
SEVERITY_CHARS: Final = 32
SPAN_BYTES: Final = 8

#: Bounds of what the decoder remembers; each cache is dropped and built again when it is full.
KNOWN_TAILS: Final = 1 << 18  # identity tails of single events
KNOWN_BATCH_TAILS: Final = 1 << 14
KNOWN_BATCH_TAIL_BYTES: Final = 64 << 20
KNOWN_PRODUCERS: Final = 1 << 18
KNOWN_DEFINITIONS: Final = 1 << 18
KNOWN_RESOURCES: Final = 1 << 14  # by their bytes, some 200 each
KNOWN_SCHEMAS: Final = 1 << 10
HASHED_BYTES: Final = 2_048  # longer identity tails of single events are read one by one
