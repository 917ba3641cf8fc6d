"""Growth: who brought the newest series of a partition, for when no more fit.

What: of the newest series, the service and metric that have the most, and of those the label with the most values. Why: a
limit that is reached says nothing about whose labels have no bound, and whoever flooded it is among the newest. It refuses
to look at every one: a sample costs milliseconds, a million definitions a pause.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from rollups.series import SeriesRegistry
from schemas.records import SeriesDefinition

SAMPLE: Final = 1_000  # series of each kind of source
SERVICE: Final = "service"


class Growth(NamedTuple):
    """`series` of the `looked_at` newest are of this service and metric, and have `values` values of this label."""

    service: str
    metric: str
    label: str
    values: int
    series: int
    looked_at: int


def newest(registry: SeriesRegistry) -> Growth | None:
    """Of the newest series those that are most like each other; None where there are none."""
    found = [
        SeriesDefinition.from_bytes(series.definitions[slot])
        for series in registry.kinds
        for slot in range(max(0, series.size - SAMPLE), series.size)
        if not series.overflow[slot]
    ]
    if not found:
        return None
    sources = Counter((one.labels.get(SERVICE, ""), one.metric) for one in found)
    (service, metric), count = sources.most_common(1)[0]
    mine = [one.labels for one in found if (one.labels.get(SERVICE, ""), one.metric) == (service, metric)]
    values = {name: len({labels.get(name) for labels in mine}) for name in sorted(set().union(*mine))}
    label = max(values, key=lambda name: values[name], default="")
    return Growth(service, metric, label, values.get(label, 0), count, len(found))
