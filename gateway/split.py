"""Split: telemetry to its topic, log records to theirs, with one answer for both.

What: a publisher in front of two; which record goes where is what its schema says. Why: one request may hold both, and a
topic of logs that is missing or full must not stop the measurements of those who send no logs. It refuses to answer for
a part: where one of the two does not acknowledge, the request is refused, and its repeat is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.delivery import Outgoing
from gateway.intake import Publisher
from gateway.verdicts import are_logs


class Split:
    """Offers what Delivery offers."""

    def __init__(self, telemetry: Publisher, logs: Publisher) -> None:
        self._telemetry, self._logs = telemetry, logs

    async def publish(self, records: list[Outgoing]) -> dict[int, str]:
        """See Delivery."""
        places: tuple[list[int], list[int]] = ([], [])
        for place, record in enumerate(records):
            places[are_logs(record[1])].append(place)
        if not places[1]:
            return await self._telemetry.publish(records)
        asked = zip((self._telemetry, self._logs), places, strict=True)
        answers = await asyncio.gather(
            *(_some(publisher, records, mine) for publisher, mine in asked), return_exceptions=True
        )
        for_good: dict[int, str] = {}
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
            for_good |= answer
        return for_good


async def _some(publisher: Publisher, records: Sequence[Outgoing], mine: list[int]) -> dict[int, str]:
    """Publish those in `mine`; what the broker refuses for good, by its place among all."""
    found = await publisher.publish([records[place] for place in mine]) if mine else {}
    return {mine[place]: why for place, why in found.items()}
