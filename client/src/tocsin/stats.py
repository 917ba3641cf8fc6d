"""Stats: what became of every measurement, in counts.

What: one immutable record. Why: loss must be visible in the process that causes it. It refuses to hold rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Stats(NamedTuple):
    """Counts of measurements since the client (in this process) began, unless said otherwise.

    recorded = delivered + rejected + given_up + buffered + in_flight, at any quiet moment. Amounts added to a counter
    without a time count as one measurement a flush.
    """

    recorded: int  # taken into the buffer
    refused: Mapping[str, int]  # not taken, by reason
    delivered: int  # acknowledged by the destination
    rejected: Mapping[str, int]  # refused for good by the destination, by reason
    given_up: int  # still unacknowledged when the client closed
    buffered: int  # waiting to be sent
    in_flight: int  # sent, not yet acknowledged
    in_flight_bytes: int  # encoded bytes of those
    batches: int  # batches encoded
    retries: int  # batches sent again
    series: int  # distinct series
    folded: int  # binds that went to an overflow series
