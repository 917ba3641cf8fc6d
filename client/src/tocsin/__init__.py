"""Tocsin's client: publish telemetry from a web service, a desktop or a vehicle.

    import tocsin

    client = tocsin.Client(source="web-1", service="shop", kind="web", transport="kafka://localhost:9092")
    requests = client.outcome("http.request", unit="By", route="/cart")
    requests.observe(good=True, value=5120)

What: the public names. Why: importing it must be light, so Kafka and Avro are only imported by the first flush. It
refuses to know the platform: only the wire format is shared.
"""

from tocsin.client import Client
from tocsin.errors import Full, InvalidLabel, InvalidName, InvalidOption, InvalidSource, Rejected, TocsinError
from tocsin.instruments import Counter, Gauge, Histogram, Outcome
from tocsin.measure import Measure, Timing
from tocsin.trace import within_trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tocsin.stats import Stats
    from tocsin.transport import MemoryTransport, OnResult, Transport

_LATER = {
    "MemoryTransport": "tocsin.transport",
    "OnResult": "tocsin.transport",
    "Stats": "tocsin.stats",
    "Transport": "tocsin.transport",
}

__all__ = [
    "Client",
    "Counter",
    "Full",
    "Gauge",
    "Histogram",
    "InvalidLabel",
    "InvalidName",
    "InvalidOption",
    "InvalidSource",
    "Measure",
    "MemoryTransport",
    "OnResult",
    "Outcome",
    "Rejected",
    "Stats",
    "Timing",
    "TocsinError",
    "Transport",
    "within_trace",
]


def __getattr__(name: str) -> object:
    """Public names that are imported at their first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(_LATER[name]), name)
    globals()[name] = found
    return found
