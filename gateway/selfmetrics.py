"""Our own metrics: the one list of names, and the only file of this room that imports prometheus_client.

What: the names and their labels. Why: a metric's name is an interface, so all stand in one place. It refuses labels
without a bound: routes, statuses and reasons are enumerations of this room; a tenant, a source or a path is never one.
"""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.003, 0.01, 0.03, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 30.0)

REQUESTS = Counter("tocsin_gateway_requests", "Requests answered", ["route", "status"])
SECONDS = Histogram("tocsin_gateway_request_seconds", "From the headers to the answer", ["route"], buckets=_SECONDS)
RECORDS = Counter("tocsin_gateway_records", "Records by verdict; reason is empty unless refused", ["verdict", "reason"])
MEASUREMENTS = Counter("tocsin_gateway_measurements", "Measurements that Kafka has acknowledged")
LOG_RECORDS = Counter("tocsin_gateway_log_records", "Log records and events that Kafka has acknowledged")
BYTES = Counter("tocsin_gateway_body_bytes", "Bytes of bodies, as they came and unfolded", ["form"])
REFUSALS = Counter("tocsin_gateway_refusals", "Whole requests refused", ["reason"])
LARGE = Counter("tocsin_gateway_large_bodies", "Large bodies: read beside the loop, worked through in turns", ["where"])
BESIDE_ENDED = Counter("tocsin_gateway_beside_ended", "Times that the process which reads large bodies ended", ["why"])
CONNECTIONS = Gauge("tocsin_gateway_connections", "Open connections")
CUT = Counter(
    "tocsin_gateway_connections_cut", "Connections that we ended: slow head, slow request, too many, too much", ["why"]
)
MEMORY = Gauge("tocsin_gateway_memory_bytes", "Bytes that requests hold")
QUEUED = Gauge("tocsin_gateway_queued_records", "Records on their way to Kafka", ["topic"])
BROKER_AWAY = Gauge(
    "tocsin_gateway_broker_away", "1 while no broker can be reached for the topic, and it is refused", ["topic"]
)
DELIVERIES_FAILED = Counter("tocsin_gateway_deliveries_failed", "Requests that Kafka has not acknowledged", ["error"])
BROKER_REFUSALS = Counter(
    "tocsin_gateway_broker_refusals",
    "Times that a broker did not let us: authentication, authorization, tls",
    ["reason"],
)
SPOOL_RECORDS = Gauge("tocsin_gateway_spool_records", "Records on the disk that Kafka does not have yet")
SPOOL_BYTES = Gauge("tocsin_gateway_spool_bytes", "Bytes of the spool that were not sent")
SPOOL_AGE = Gauge("tocsin_gateway_spool_oldest_seconds", "Since the oldest record of the spool was received; 0: none")
SPOOL_SENT = Counter("tocsin_gateway_spool_sent", "Records of the spool that Kafka has acknowledged")
SPOOL_DROPPED = Counter("tocsin_gateway_spool_dropped", "Records of the spool that were given up", ["reason"])
SPOOL_DAMAGED = Counter("tocsin_gateway_spool_damaged", "Stretches of the spool that were not whole")
KEYS_REFUSED = Counter("tocsin_gateway_keys_refused", "Times that a changed file of keys had a mistake")
DRAINING = Gauge("tocsin_gateway_draining", "1 from SIGTERM on")


def exposition() -> bytes:
    """Everything in Prometheus' text format."""
    return bytes(generate_latest(REGISTRY))
