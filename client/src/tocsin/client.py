"""Client: the front door. One per (source, service) in a process; thread-safe; safe to fork; bounded in all it holds.

What: options checked at construction, instruments handed out, a pump behind them; hooks for exit and fork. Why:
telemetry must never harm its host: after construction no recording call raises or blocks. It refuses to guess: a bad
option, name or label is an error at once.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from time import monotonic

from tocsin import lifecycle, limits, names
from tocsin.encode import Encoder
from tocsin.errors import InvalidOption
from tocsin.instruments import Counter, Gauge, Histogram, Instrument, Outcome
from tocsin.pump import Pump
from tocsin.recorder import REASONS, Recorder, Tally
from tocsin.series import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self, TypeVar

    from tocsin.stats import Stats
    from tocsin.transport import Transport

    _I = TypeVar("_I", bound=Instrument)


class Client:
    """Records telemetry and publishes it in the background."""

    def __init__(
        self,
        *,
        transport: str | Transport,
        kind: str,
        service: str,
        source: str | None = None,
        version: str = "",
        environment: str = "",
        region: str = "",
        attributes: Mapping[str, str] | None = None,
        flush_interval: float = limits.FLUSH_INTERVAL,
        batch_size: int = limits.BATCH_MEASUREMENTS,
        buffer_measurements: int = limits.BUFFER_MEASUREMENTS,
        buffer_bytes: int = limits.BUFFER_BYTES,
        max_series: int = limits.MAX_SERIES,
        schema_id: int | None = None,
        report: bool = True,
    ) -> None:
        """Set up; nothing is sent and no thread runs before the first measurement.

        `transport`: kafka://host:port or a Transport. `kind`: web, desktop, vehicle or other. `source`: the id of what
        emits, by default the host's name. `flush_interval` in seconds. `schema_id`: the batch schema's id in a registry
        (Confluent framing; without it the record names its schema by fingerprint). `report`: count refusals as the
        metric `tocsin.client.refused`. Raises InvalidOption, InvalidSource.
        """
        _check_range("flush_interval", flush_interval, 0.001, 3600)
        _check_range("batch_size", batch_size, 1, limits.BATCH_MEASUREMENTS)
        _check_range("buffer_measurements", buffer_measurements, 1, 10_000_000)
        _check_range("buffer_bytes", buffer_bytes, limits.RECORD_BYTES, 2**40)
        _check_range("max_series", max_series, 1, 1_000_000)
        self.source = names.source(source if source is not None else os.uname().nodename)
        self._resource = _resource(kind, service, version, environment, region, attributes or {})
        self._reserved = sum(1 for value in (service, version, environment, region) if value)
        self._schema_id = schema_id
        self._report = report
        self._reported: dict[str, int] = {}
        self._given_up = 0
        self._instruments: dict[object, Instrument] = {}
        self._series = SeriesTable(max_series)
        self._recorder = Recorder(buffer_measurements, batch_size, self._start)
        if isinstance(transport, str):
            from tocsin.transport import from_url

            transport = from_url(transport)
        self._transport = transport
        self._pump = Pump(
            self._recorder, self._series.definitions, self._encoder(), self._transport, batch_size, buffer_bytes,
            flush_interval, self._report_refusals,
        )  # fmt: skip
        lifecycle.join(lifecycle.Member(self.close, self._pump, self._start_afresh))

    def counter(self, name: str, /, unit: str = "1", **labels: object) -> Counter:
        """The counter of that name, unit and labels. Raises InvalidName, InvalidLabel."""
        return self._instrument(Counter, name, unit, labels)

    def gauge(self, name: str, /, unit: str = "1", **labels: object) -> Gauge:
        """The gauge of that name, unit and labels. Raises InvalidName, InvalidLabel."""
        return self._instrument(Gauge, name, unit, labels)

    def histogram(self, name: str, /, unit: str = "1", **labels: object) -> Histogram:
        """The histogram of that name, unit and labels. Raises InvalidName, InvalidLabel."""
        return self._instrument(Histogram, name, unit, labels)

    def outcome(self, name: str, /, unit: str = "1", **labels: object) -> Outcome:
        """The outcome of that name, unit and labels. Raises InvalidName, InvalidLabel."""
        return self._instrument(Outcome, name, unit, labels)

    def flush(self, timeout: float = 10.0) -> bool:
        """Send everything and wait up to `timeout` seconds for acknowledgements. True if nothing is left."""
        return self._pump.flush(timeout)

    def close(self, timeout: float = limits.EXIT_DEADLINE) -> bool:
        """Stop recording, flush, stop the thread. True if everything was acknowledged; else see stats.given_up."""
        if self._recorder.closed:
            return self._given_up == 0
        self._recorder.closed = True
        self._recorder.room = 0
        deadline = monotonic() + timeout
        self._pump.stop(timeout)
        done = self._pump.flush(max(0.0, deadline - monotonic()))
        self._given_up = 0 if done else len(self._recorder.rows) + self._recorder.held
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()
        lifecycle.leave(self._pump)
        return done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def boot(self) -> str:
        """Id of this life of the source: new in each process, also after a fork."""
        return self._pump.encoder.boot

    @property
    def stats(self) -> Stats:
        """What became of every measurement so far."""
        from tocsin.stats import Stats

        recorder, pump = self._recorder, self._pump
        buffered = len(recorder.rows)
        return Stats(
            recorded=recorder.recorded + buffered,
            refused=dict(recorder.refused),
            delivered=pump.delivered,
            rejected=dict(pump.rejected),
            given_up=self._given_up,
            buffered=0 if self._given_up else buffered,
            in_flight=0 if self._given_up else recorder.held,
            in_flight_bytes=pump.held_bytes,
            batches=pump.batches,
            retries=pump.retries,
            series=len(self._series.definitions),
            folded=self._series.folded,
        )

    def _encoder(self) -> Encoder:
        return Encoder(self.source, os.urandom(8).hex(), self._resource, self._schema_id)

    def _start(self) -> None:
        self._pump.start()

    def _instrument(self, kind: type[_I], name: str, unit: str, labels: dict[str, object]) -> _I:
        try:
            key = (kind, name, unit, tuple(labels.items()))
            known = self._instruments.get(key)
        except TypeError:  # a label's value that cannot be hashed: the checks below name it
            return kind(name, unit, labels, self._resolve, self._recorder)
        if isinstance(known, kind):
            return known
        made = kind(name, unit, labels, self._resolve, self._recorder)
        if len(self._instruments) < self._series.limit:
            self._instruments[key] = made
        return made

    def _resolve(self, kind: str, name: str, unit: str, labels: dict[str, object]) -> tuple[int, Tally | None]:
        definition = (kind, names.metric(name), names.unit(unit), names.labels(labels, self._reserved))
        number = self._series.number(definition)
        if kind != Counter.KIND:
            return number, None
        tally = self._series.tally(number)
        with self._recorder.lock:
            if tally not in self._recorder.tallies:
                self._recorder.tallies.append(tally)
        return number, tally

    def _report_refusals(self) -> None:
        """Counts of refusals since the last turn, as a metric of our own: loss is told, not only kept."""
        refused = self._recorder.refused
        if not self._report or refused == self._reported:
            return
        for reason in REASONS:
            new = refused.get(reason, 0) - self._reported.get(reason, 0)
            if new > 0:
                self._reported[reason] = refused[reason]
                self.counter("tocsin.client.refused", "{measurement}", reason=reason).add(new)

    def _start_afresh(self) -> None:
        """In a forked child: nothing recorded, nothing pending, a new boot id, and no thread until the first call."""
        self._series.after_fork()
        self._recorder.reset()
        self._reported = {}
        self._pump.reset(self._encoder())
        after_fork = getattr(self._transport, "after_fork", None)
        if after_fork is not None:
            after_fork()


def _check_range(option: str, value: object, least: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise InvalidOption(f"{option}={value!r}; between {least} and {most} is expected")


def _resource(
    kind: str, service: str, version: str, environment: str, region: str, attributes: Mapping[str, str]
) -> dict[str, object]:
    """The resource as the batch record holds it. Raises InvalidSource, InvalidLabel."""
    return {
        "service": names.attribute("service", service),
        "version": names.attribute("version", version),
        "environment": names.attribute("environment", environment),
        "region": names.attribute("region", region),
        "source_kind": names.source_kind(kind),
        "attributes": dict(names.labels(dict(attributes))),
    }
