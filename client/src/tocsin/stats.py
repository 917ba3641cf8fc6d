"""Stats: what became of every measurement, in counts.

What: one immutable record. Why: loss must be visible in the process that causes it. It refuses to hold rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tocsin.buffer import Buffer
    from tocsin.pump import Pump
    from tocsin.series import SeriesTable
    from tocsin.spool import Spool


class Stats(NamedTuple):
    """Counts of measurements, or of log records, since the client (in this process) began, unless said otherwise.

    recorded + recovered = delivered + rejected + dropped + given_up + buffered + in_flight + spooled, at any quiet
    moment. Amounts added to a counter without a time count as one measurement a flush.
    """

    recorded: int  # taken into the buffer
    refused: Mapping[str, int]  # not taken, by reason
    delivered: int  # acknowledged by the destination
    rejected: Mapping[str, int]  # refused for good by the destination, by reason
    given_up: int  # neither acknowledged nor in a spool when the client closed
    buffered: int  # waiting in memory
    in_flight: int  # encoded and held in memory: not in a spool, not acknowledged
    in_flight_bytes: int  # encoded bytes that were sent, and whose fate is not known
    batches: int  # batches encoded
    retries: int  # batches sent again
    series: int  # distinct series
    folded: int  # binds that went to an overflow series
    spooled: int  # in the spool, synced, not acknowledged; without what earlier lives left and nobody read yet
    spool_bytes: int  # bytes of files that this process owns
    syncs: int  # of the spool's files; one for each group of batches
    recovered: int  # left in the spool by earlier lives, as far as they were read
    dropped: Mapping[str, int]  # out of the spool, by reason: aged, spool_full, damaged
    damaged: int  # stretches of the spool's files that could not be read
    trouble: str  # what the spool's disk said last, or the destination, while it does not take what it is given


def of(recorder: Buffer, pump: Pump, series: SeriesTable | None, spool: Spool | None, given_up: int) -> Stats:
    """The counts as they stand."""
    buffered = len(recorder.rows)
    return Stats(
        recorded=recorder.recorded + buffered,
        refused=dict(recorder.refused),
        delivered=pump.delivered,
        rejected=dict(pump.rejected),
        given_up=given_up,
        buffered=0 if given_up else buffered,
        in_flight=0 if given_up else recorder.held,
        in_flight_bytes=pump.sent_bytes,
        batches=pump.batches,
        retries=pump.retries,
        series=len(series.definitions) if series else 0,
        folded=series.folded if series else 0,
        spooled=spool.rows if spool else 0,
        spool_bytes=spool.held_bytes if spool else 0,
        syncs=spool.syncs if spool else 0,
        recovered=spool.recovered if spool else 0,
        dropped=dict(spool.dropped) if spool else {},
        damaged=spool.damaged if spool else 0,
        trouble=(spool.trouble if spool else "") or pump.trouble,
    )
