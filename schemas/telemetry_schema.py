"""The two schemas of the `telemetry` topic, parsed for fastavro.

What: constants for whoever reads or writes single records with fastavro itself (peers in benchmarks, tests). Why: they
must be the very schemas that the decoder reads. It refuses to decode.
"""

from __future__ import annotations

from typing import Final

from schemas.bundled import schema

EVENT: Final = schema("telemetry_event")
BATCH: Final = schema("telemetry_batch")
EVENT_SCHEMA: Final = EVENT.parsed
BATCH_SCHEMA: Final = BATCH.parsed
