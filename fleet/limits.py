"""Every limit of the room by name.

What: what one record may hold and how much is remembered of a vehicle. Why: whatever arrives, state stays finite. It
refuses to hold settings.
"""

from __future__ import annotations

from typing import Final

RECORD_BYTES: Final = 1 << 20  # fleet-telemetry itself takes messages of 1,000,000 bytes
ITEMS: Final = 2_048  # signals, alerts or errors of one record
VIN_CHARS: Final = 64
TEXT_CHARS: Final = 64  # of a value that becomes a label, of a connection that is remembered, of the name of a tag

VEHICLES: Final = 8_192  # remembered for each partition; of more, the eighth that was silent for longest is forgotten
SEEN: Final = 64  # records or connections of a vehicle that are known again
TAGS: Final = 16  # of an error, in its event
ATTRIBUTE_CHARS: Final = 256  # of an event, each
BODY_CHARS: Final = 1_024
REPORTS: Final = (
    256  # alerts or errors of a vehicle that are known again; of more in one record the rest is not counted
)
NAMES: Final = 200  # names of alerts, of errors, or values of a followed signal; later ones are "other"

SIGNALS: Final = 400  # of a mapping
FLAG_SIGNALS: Final = 10  # of them, those that are several flags each
FOLLOWED: Final = 4
OWN_LABELS: Final = 4
SPAN_MS: Final = 2**32 - 1  # between the oldest and the newest measurement of a record

OTHER: Final = "other"
