"""Client: the front door. One per (source, service) in a process; thread-safe; safe to fork; bounded in all it holds.

What: options checked at construction, instruments handed out, a pump behind them; hooks for exit and fork. Why:
telemetry must never harm its host: after construction no recording call raises or blocks. It refuses to guess: a bad
option, name or label is an error at once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from time import monotonic

from tocsin import encode, lifecycle, names, options
from tocsin.encode import Encoder
from tocsin.errors import InvalidOption
from tocsin.instruments import Counter, Gauge, Histogram, Instrument, Outcome
from tocsin.measure import Measure
from tocsin.privacy import Privacy
from tocsin.pump import Pump
from tocsin.recorder import REASONS, Recorder, Tally
from tocsin.series import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from tocsin.stats import Stats
    from tocsin.transport import Transport

    _I = TypeVar("_I", bound=Instrument)

DEPLOY = "tocsin.deploy"  # the metric of deploy markers
REFUSED = "tocsin.client.refused"  # the metric that tells of refusals


class Client:
    """Records telemetry and publishes it in the background."""

    def __init__(
        self,
        *,
        transport: str | Transport | None = None,
        kind: str | None = None,
        service: str | None = None,
        source: str | None = None,
        version: str | None = None,
        environment: str | None = None,
        region: str | None = None,
        rollout: str | None = None,
        attributes: Mapping[str, str] | None = None,
        flush_interval: float | None = None,
        batch_size: int | None = None,
        buffer_measurements: int | None = None,
        buffer_bytes: int | None = None,
        max_series: int | None = None,
        schema_id: int | None = None,
        report: bool | None = None,
        disabled: bool | None = None,
        exit_deadline: float | None = None,
        labels_allow: Collection[str] | None = None,
        labels_deny: Collection[str] | None = None,
        labels_hash: Collection[str] | None = None,
        hash_key: str | None = None,
    ) -> None:
        """Set up; nothing is sent and no thread runs before the first measurement.

        What is left out is read from the environment: TOCSIN_URL for `transport`, else TOCSIN_ and the option's name in
        capitals; `options.TABLE` has bounds and defaults. `transport`: kafka://host:port or a Transport. `kind`: web,
        desktop, vehicle or other. `source`: the id of what emits, by default the host's name. `rollout`: id of the
        deployment that this process belongs to. Times in seconds. `schema_id`: the batch schema's id in a registry
        (Confluent framing; without it the record names its schema by fingerprint). `report`: count refusals as the metric
        `tocsin.client.refused`. `disabled`: check names, record nothing. `labels_*`: see `privacy`. Raises InvalidOption,
        InvalidSource, InvalidLabel.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "transport")}
        settled = options.settle(given)
        self.source = names.source(settled["source"] if settled["source"] is not None else os.uname().nodename)
        self._privacy = Privacy(
            settled["labels_allow"], settled["labels_deny"], settled["labels_hash"], settled["hash_key"].encode()
        )
        self._options = settled
        self._resource = _resource(settled, self._privacy)
        self._reserved = sum(1 for name in ("service", "version", "environment", "region") if settled[name])
        self._reported: dict[str, int] = {}
        self._given_up = 0
        self._instruments: dict[object, Instrument] = {}
        self._series = SeriesTable(settled["max_series"])
        self._recorder = Recorder(
            settled["buffer_measurements"], settled["batch_size"], self._start, muted=settled["disabled"]
        )
        self._transport = _transport(transport, settled)
        self._pump = Pump(
            self._recorder, self._series.definitions, self._encoder(), self._transport, settled["batch_size"],
            settled["buffer_bytes"], settled["flush_interval"], self._report_refusals,
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

    def measure(self, name: str, /, unit: str = "ms", **labels: object) -> Measure:
        """An outcome with the duration as its value, around functions (a decorator) or a block (with, async with).

        `unit`: s, ms, us or ns. Raises InvalidName, InvalidLabel.
        """
        return Measure(self.outcome(name, unit, **labels).observe, unit)

    def deploy(self, **labels: object) -> None:
        """Mark a deployment, now: one of the counter `tocsin.deploy`; version and rollout are labels. InvalidLabel."""
        rollout = self._options["rollout"]
        named = {"rollout": rollout, **labels} if rollout else labels
        self.counter(DEPLOY, "{deploy}", **named).add(1, self._recorder.anchor.wall_ms())

    def flush(self, timeout: float = 10.0) -> bool:
        """Send everything and wait up to `timeout` seconds for acknowledgements. True if nothing is left."""
        return self._pump.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Stop recording, flush, stop the thread, within `timeout` seconds (by default the option `exit_deadline`).

        True if everything was acknowledged; else see stats.given_up.
        """
        if self._recorder.closed:
            return self._given_up == 0
        self._recorder.shut()
        timeout = self._options["exit_deadline"] if timeout is None else timeout
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
        boot, schema_id = os.urandom(8).hex(), self._options["schema_id"]
        return Encoder(self.source, boot, self._resource, schema_id, self._recorder.anchor)

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
        kept = names.labels(self._privacy.apply(labels), self._reserved)
        definition = (kind, names.metric(name), names.unit(unit), kept)
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
        if not self._options["report"] or refused == self._reported:
            return
        for reason in REASONS:
            new = refused.get(reason, 0) - self._reported.get(reason, 0)
            if new > 0:
                self._reported[reason] = refused[reason]
                self.counter(REFUSED, "{measurement}", reason=reason).add(new)

    def _start_afresh(self) -> None:
        """In a forked child: nothing recorded, nothing pending, a new boot id, and no thread until the first call."""
        self._series.after_fork()
        self._recorder.reset()
        self._reported = {}
        self._pump.reset(self._encoder())
        after_fork = getattr(self._transport, "after_fork", None)
        if after_fork is not None:
            after_fork()


class _Nowhere:
    """The transport of a client that is disabled."""

    def send(self, key: bytes, value: bytes, on_result: Any) -> None:
        """Nothing is ever recorded, so nothing is ever sent."""

    def flush(self, timeout: float) -> int:
        """Nothing is ever on its way."""
        return 0


def _transport(given: str | Transport | None, settled: Mapping[str, Any]) -> Transport:
    """From what code gave, or the environment. Raises InvalidOption."""
    if settled["disabled"]:
        return _Nowhere()
    chosen = given if given is not None else os.environ.get(options.variable("transport"), "")
    if not chosen:
        raise InvalidOption("transport is missing; give it, set TOCSIN_URL, or set TOCSIN_DISABLED=1")
    if isinstance(chosen, str):
        from tocsin.transport import from_url

        return from_url(chosen)
    return chosen


def _resource(settled: Mapping[str, Any], privacy: Privacy) -> bytes:
    """The resource as a batch holds it. Raises InvalidSource, InvalidLabel."""
    attributes = privacy.apply(settled["attributes"])
    if settled["rollout"]:
        attributes["rollout"] = settled["rollout"]
    return encode.resource(
        names.attribute("service", settled["service"]),
        names.attribute("version", settled["version"]),
        names.attribute("environment", settled["environment"]),
        names.attribute("region", settled["region"]),
        names.source_kind(settled["kind"]),
        dict(names.labels(attributes)),
    )
