"""Client: what the client costs its host, beside other clients in the same run.

What: a recording call with bound labels, the import, bytes a measurement on the wire (at a service's pace: `wire`), and
measurements a second from the call to the promise of the spool. Why beside others: on a busy machine a nanosecond is not
one; the ratio is. Peers run in their own environment, each call in a process of its own, interleaved with ours. It refuses
to time calls that recorded nothing, and a spool that did not give everything back.
"""

from __future__ import annotations

import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import cramjam
from tocsin import Client, Full, MemoryTransport, OnResult
from tocsin.wire import body

from bench import wire
from bench.outcome import WrongOutcome
from bench.results import PEERS_PYTHON, Figure

Say = Callable[[str], None]

TREE = pathlib.Path(__file__).parent.parent
SOURCES = TREE / "client" / "src"
CALLS = pathlib.Path(__file__).parent / "peers" / "client_calls.py"
#: library -> (its name, the statement that a service imports it with)
LIBRARIES = {
    "tocsin": ("tocsin", "import tocsin"),
    "opentelemetry": ("OpenTelemetry SDK", "from opentelemetry.sdk.metrics import MeterProvider"),
    "prometheus": ("prometheus_client", "import prometheus_client"),
    "statsd": ("statsd", "import statsd"),
}
IMPORT_RUNS = 7  # processes a run; the median of them is the run's sample
SERIES, BAD_SHARE, SEED = 40, 0.01, 1
WIRE_MEASUREMENTS, SPOOL_MEASUREMENTS = 100_000, 1_000_000
TIMED_IMPORT = (
    "import time; b, c = time.perf_counter(), time.process_time(); {}; "
    "print((time.perf_counter() - b) * 1e3, (time.process_time() - c) * 1e3)"
)


class PeersMissing(RuntimeError):
    """The peers' environment is not there: make peers"""


class Away:
    """A destination that takes nothing."""

    def send(self, key: bytes, value: bytes, on_result: OnResult) -> None:
        """Later."""
        raise Full("away")

    def flush(self, timeout: float) -> int:
        """Nothing is on its way."""
        return 0


def _python(words: Sequence[str]) -> str:
    """What the peers' Python prints. Raises PeersMissing."""
    if not PEERS_PYTHON.exists():
        raise PeersMissing(PeersMissing.__doc__)
    environment = {**os.environ, "PYTHONPATH": str(SOURCES)}
    done = subprocess.run(
        [str(PEERS_PYTHON), *words], env=environment, capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout


def calls(library: str) -> dict[str, float]:
    """What a call costs in ns: timing_ns, counter_ns. Raises PeersMissing, WrongOutcome."""
    told: dict[str, float] = json.loads(_python([str(CALLS), library]))
    if told.pop("refused"):
        raise WrongOutcome(f"{library} refused what it was given")
    return told


def import_ms(library: str) -> tuple[float, float]:
    """(ms, ms of processor time) of a fresh process, files compiled and in the page cache; medians of some."""
    statement = TIMED_IMPORT.format(LIBRARIES[library][1])
    _python(["-c", statement])
    told = [tuple(map(float, _python(["-c", statement]).split())) for _ in range(IMPORT_RUNS)]
    return statistics.median(wall for wall, _ in told), statistics.median(cpu for _, cpu in told)


def requests(client: Client, count: int, seed: int = SEED) -> list[Callable[[], None]]:
    """Calls as a web service makes them: outcomes of some routes, with log-normal durations in ms."""
    chance = random.Random(seed)
    bound = [client.outcome("http.request", unit="ms", route=f"/r{n}", method="GET").observe for n in range(SERIES)]

    def one() -> Callable[[], None]:
        observe, good, took = chance.choice(bound), chance.random() >= BAD_SHARE, chance.lognormvariate(3.0, 1.0)
        return lambda: observe(good, took)

    return [one() for _ in range(count)]


def wire_bytes() -> dict[str, float]:
    """Bytes a measurement: gzip (a gateway's body), lz4 (Kafka's batches), plain."""
    transport = MemoryTransport()
    with Client(source="web-1", service="shop", version="1", kind="web", transport=transport) as client:
        for call in requests(client, WIRE_MEASUREMENTS):
            call()
        if not client.flush(60) or client.stats.delivered != WIRE_MEASUREMENTS:
            raise WrongOutcome(f"{client.stats}")
    values = [value for _, value in transport.records]
    plain = b"".join(values)
    return {
        "gzip": len(body(values)) / WIRE_MEASUREMENTS,
        "lz4": len(bytes(cramjam.lz4.compress(plain))) / WIRE_MEASUREMENTS,
        "plain": len(plain) / WIRE_MEASUREMENTS,
    }


def spool_rate(directory: pathlib.Path) -> tuple[float, float, int]:
    """(measurements/s from the first call to the promise of the last, us of processor time for each, syncs).

    Raises WrongOutcome.
    """
    with tempfile.TemporaryDirectory(dir=directory) as folder:
        options: dict[str, Any] = {
            "source": "web-1", "service": "shop", "spool": folder, "buffer_measurements": 2 * SPOOL_MEASUREMENTS,
            "catch_up_rate": 0.0, "catch_up_jitter": 0.0, "report": False,
        }  # fmt: skip
        client = Client(transport=Away(), **options)
        work = requests(client, SPOOL_MEASUREMENTS)
        began, busy = time.perf_counter(), time.process_time()
        for call in work:
            call()
        promised = client.commit(120.0)
        seconds, cpu = time.perf_counter() - began, time.process_time() - busy
        syncs = client.stats.syncs
        client.close(0.0)
        if not promised or client.stats.given_up:
            raise WrongOutcome(f"not everything was promised: {client.stats}")
        with Client(transport=MemoryTransport(), **options) as after:
            if not after.flush(120.0) or after.stats.recovered != SPOOL_MEASUREMENTS:
                raise WrongOutcome(f"not everything came back: {after.stats}")
    return SPOOL_MEASUREMENTS / seconds, cpu / SPOOL_MEASUREMENTS * 1e6, syncs


def figures(directory: pathlib.Path, runs: int, say: Say) -> list[Figure]:
    """All of them, from interleaved runs. `directory`: on the disk that the spool is measured on."""
    timed: dict[str, list[dict[str, float]]] = {library: [] for library in LIBRARIES}
    imports: dict[str, list[tuple[float, float]]] = {library: [] for library in LIBRARIES}
    rates: list[tuple[float, float, int]] = []
    for _ in range(runs):
        for library, (name, _statement) in LIBRARIES.items():
            timed[library].append(calls(library))
            imports[library].append(import_ms(library))
            told = timed[library][-1]
            say(
                f"client: {name}: {told['timing_ns']:,.0f} ns a timing, {told['counter_ns']:,.0f} ns a count, "
                f"{imports[library][-1][0]:.1f} ms to import"
            )
        rates.append(spool_rate(directory))
        say(f"client: {rates[-1][0]:,.0f} measurements/s into the spool, {rates[-1][1]:.2f} us of processor time each")
    paced = wire.figures()
    for figure in paced:
        say(f"client: {figure.name}: {figure.value:.2f} bytes; {figure.baseline}")
    return [*drawn(timed, imports, wire_bytes(), rates), *paced]


def drawn(
    timed: dict[str, list[dict[str, float]]],
    imports: dict[str, list[tuple[float, float]]],
    wire: dict[str, float],
    rates: list[tuple[float, float, int]],
) -> list[Figure]:
    """The figures out of runs; ratios are of runs beside each other, against the cheapest of the others."""
    others = [library for library in LIBRARIES if library != "tocsin"]

    def column(library: str, what: str) -> list[float]:
        return [run[what] for run in timed[library]]

    def beside(what: str) -> tuple[float, ...]:
        return tuple(
            min(timed[library][run][what] for library in others) / ours[what]
            for run, ours in enumerate(timed["tocsin"])
        )

    def told(of: Callable[[str], Sequence[float]], unit: str) -> str:
        return ", ".join(f"{LIBRARIES[lib][0]} {statistics.median(of(lib)):,.0f} {unit}" for lib in others)

    timing = told(lambda library: column(library, "timing_ns"), "ns")
    counting = told(lambda library: column(library, "counter_ns"), "ns")
    size = f"full batches out of a tight loop, gzip as to a gateway; lz4 as to Kafka {wire['lz4']:.1f}, plain {wire['plain']:.1f}"
    cpu = statistics.median(busy for _, busy, _ in rates)
    spool = (
        f"from the call to the promise, {SPOOL_MEASUREMENTS:,} measurements in {rates[-1][2]} syncs, {cpu:.2f} us of "
        "processor time each; all read back"
    )
    importing = told(lambda library: [wall for wall, _ in imports[library]], "ms")
    own = statistics.median(busy for _, busy in imports["tocsin"])
    return [
        Figure("client_call_ns", "ns", tuple(column("tocsin", "timing_ns")), "<= 400", timing),
        Figure("client_call_vs_cheapest_ratio", "x", beside("timing_ns"), ">= 1", "an outcome; cheapest of the others"),
        Figure("client_count_ns", "ns", tuple(column("tocsin", "counter_ns")), "<= 400", counting),
        Figure("client_count_vs_cheapest_ratio", "x", beside("counter_ns"), ">= 1", "a count; cheapest of the others"),
        Figure(
            "client_import_ms", "ms", tuple(wall for wall, _ in imports["tocsin"]), "<= 30",
            f"{own:.1f} ms of it processor time; {importing}",
        ),
        Figure("client_bytes_per_measurement", "bytes", (wire["gzip"],), "<= 12", size),
        Figure("client_spool_per_s", "measurements/s", tuple(rate for rate, _, _ in rates), ">= 500000", spool),
    ]  # fmt: skip
