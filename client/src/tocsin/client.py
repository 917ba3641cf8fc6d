"""Client: the front door. One per (source, service) in a process; thread-safe; safe to fork; bounded in all it holds.

What: options checked at construction, instruments handed out, a pump behind them; hooks for exit and fork. Why:
telemetry must never harm its host: after construction no recording call raises or blocks. It refuses to guess: a bad
option, name or label is an error at once.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from time import monotonic

from tocsin import encode, lifecycle, losses, names, options
from tocsin.backlog import Memory
from tocsin.encode import Encoder
from tocsin.errors import InvalidOption
from tocsin.instruments import Counter, Gauge, Histogram, Instrument, Outcome
from tocsin.measure import Measure
from tocsin.privacy import Privacy
from tocsin.pump import Pump
from tocsin.recorder import Recorder, Tally
from tocsin.series import SeriesTable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self, TypeVar

    from tocsin.log_pipe import LogPipe
    from tocsin.spool import Spool
    from tocsin.stats import Stats
    from tocsin.transport import Transport

    _I = TypeVar("_I", bound=Instrument)

DEPLOY = "tocsin.deploy"  # the metric of deploy markers


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
        sigterm: bool | None = None,
        token: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        kafka: Mapping[str, object] | None = None,
        spool: str | None = None,
        spool_bytes: int | None = None,
        spool_logs_bytes: int | None = None,
        spool_age: float | None = None,
        spool_full: str | None = None,
        order: str | None = None,
        catch_up_rate: float | None = None,
        catch_up_jitter: float | None = None,
        labels_allow: Collection[str] | None = None,
        labels_deny: Collection[str] | None = None,
        labels_hash: Collection[str] | None = None,
        hash_key: str | None = None,
    ) -> None:
        """Set up; nothing is sent and no thread runs before the first measurement.

        What is left out is read from the environment: TOCSIN_URL for `transport`, else TOCSIN_ and the option's name in
        capitals; `options.TABLE` has bounds and defaults. `transport`: kafka://host:port, https://host[/path] or a
        Transport; `token`, `ca_file`, `cert_file`, `key_file`: see `gateway`; `kafka`: see `security`. `kind`: web,
        desktop, vehicle or other. `source`: the id of what emits, by default the host's name. `rollout`: id of the
        deployment that this process belongs to. Times in seconds. `schema_id`: the batch schema's id in a registry
        (Confluent framing; without it the record names its schema by fingerprint). `report`: count refusals as the metric
        `tocsin.client.refused`. `disabled`: check names, record nothing. `sigterm`: keep
        what is recorded when the process is told to end. `spool`: a folder where batches lie, synced, until
        they are acknowledged; `spool_*` and `order`: see `spool`; `catch_up_*`: see `pace`. `labels_*`: see `privacy`.
        Raises InvalidOption, InvalidSource, InvalidLabel.
        """
        given = {name: value for name, value in locals().items() if name not in ("self", "transport", "kafka")}
        self._set_up(transport, kafka, options.settle(given))

    def _set_up(
        self, transport: str | Transport | None, kafka: Mapping[str, object] | None, settled: dict[str, Any]
    ) -> None:
        """All the parts, out of options that are good one by one."""
        self.source = names.source(settled["source"] if settled["source"] is not None else os.uname().nodename)
        self._privacy = Privacy(
            settled["labels_allow"], settled["labels_deny"], settled["labels_hash"], settled["hash_key"].encode()
        )
        self._options = settled
        self._resource = _resource(settled, self._privacy)
        self._reserved = sum(1 for name in ("service", "version", "environment", "region") if settled[name])
        self._given_up = 0
        self._instruments: dict[object, Instrument] = {}
        self._series = SeriesTable(settled["max_series"])
        self._recorder = Recorder(
            settled["buffer_measurements"], settled["batch_size"], self._start, muted=settled["disabled"]
        )
        telling = settled["report"] and not settled["disabled"]
        self._losses = losses.Losses(self._recorder, self._series, settled["spool"] if telling else "", self.source)
        self._transport = _transport(transport, kafka, settled)
        encoder = self._encoder()
        self._spool = _spool(settled, self.source, encoder.boot)
        self._pump = Pump(
            self._recorder, self._series.definitions, encoder, self._transport,
            self._spool or Memory(settled["buffer_bytes"]), settled["batch_size"], settled["buffer_bytes"],
            settled["flush_interval"], self._before_turn, self._spool.pace.outage if self._spool else _nothing,
        )  # fmt: skip
        self._logs = self._log_pipe()
        if settled["sigterm"]:
            lifecycle.on_sigterm()
        pumps = (self._pump, self._logs.pump)
        self._member = lifecycle.Member(self.close, self.commit, pumps, self._start_afresh, settled["exit_deadline"])
        lifecycle.join(self._member)

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

    def event(
        self,
        name: str,
        /,
        body: str = "",
        *,
        severity: str | int = "info",
        time_ms: int | None = None,
        **attributes: object,
    ) -> None:
        """Record that something happened. Never raises: what cannot be taken is counted, in `log_stats`.

        `severity`: trace, debug, info, warn, error, fatal, or OpenTelemetry's number. Attributes are text, numbers or
        truths; the trace is that of the running code.
        """
        self._logs.put(name or "?", body, severity, time_ms, attributes)

    def log(
        self, body: str, /, *, severity: str | int = "info", time_ms: int | None = None, **attributes: object
    ) -> None:
        """Record a text for people; else as `event`."""
        self._logs.put("", body, severity, time_ms, attributes)

    def deploy(self, **labels: object) -> None:
        """Mark a deployment, now: one of the counter `tocsin.deploy`, and an event; version and rollout go with them.

        Raises InvalidLabel.
        """
        rollout = self._options["rollout"]
        named = {"rollout": rollout, **labels} if rollout else labels
        self.counter(DEPLOY, "{deploy}", **named).add(1, self._recorder.anchor.wall_ms())
        if self._logs.possible:
            self.event(DEPLOY, **named)

    def flush(self, timeout: float = 10.0) -> bool:
        """Send everything and wait up to `timeout` seconds for acknowledgements. True if nothing is left."""
        deadline = monotonic() + timeout
        return self._pump.flush(timeout) & self._logs.flush(max(0.0, deadline - monotonic()))

    def commit(self, timeout: float = 10.0) -> bool:
        """Wait up to `timeout` seconds until the end of this process could lose nothing that was recorded before.

        True if all of it lies in the spool, synced, or was acknowledged. Without a spool this is `flush`.
        """
        deadline = monotonic() + timeout
        done = self._pump.commit(timeout) if self._spool else self._pump.flush(timeout)
        return done & self._logs.commit(max(0.0, deadline - monotonic()))

    def close(self, timeout: float | None = None) -> bool:
        """Stop recording, flush, stop the thread, within `timeout` seconds (by default the option `exit_deadline`).

        True if everything was acknowledged or lies in the spool; else see stats.given_up.
        """
        if self._recorder.closed:
            return self._given_up + self._logs.given_up == 0
        self._recorder.shut()
        timeout = self._options["exit_deadline"] if timeout is None else timeout
        deadline = monotonic() + timeout
        self._pump.stop(timeout)
        done = self._pump.flush(max(0.0, deadline - monotonic()))
        self._given_up = 0 if done else len(self._recorder.rows) + self._recorder.held
        self._logs.close(max(0.0, deadline - monotonic()))
        self._losses.keep(losses.given_up(self._totals(), self._given_up, self._logs.given_up), self.boot)
        self._pump.close()
        close = getattr(self._transport, "close", None)
        if close is not None:
            close()
        lifecycle.leave(self._member)
        return self._given_up + self._logs.given_up == 0

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
        from tocsin.stats import of

        return of(self._recorder, self._pump, self._series, self._spool, self._given_up)

    @property
    def log_stats(self) -> Stats:
        """What became of every log record so far."""
        from tocsin.stats import of

        logs = self._logs
        return of(logs.buffer, logs.pump, None, logs.spool, logs.given_up)

    def _log_pipe(self) -> LogPipe:
        from tocsin.log_pipe import MARK, LogPipe

        settled, boot = self._options, os.urandom(8).hex()
        spool = _spool({**settled, "spool_bytes": settled["spool_logs_bytes"]}, self.source, boot, MARK)
        way = getattr(self._transport, "for_logs", None)
        return LogPipe(
            settled, self.source, self._resource, self._privacy, way() if way else self._transport, way is not None, boot,
            spool, self._report_log_losses,
        )  # fmt: skip

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

    def _before_turn(self) -> None:
        """What comes around with the flushes."""
        self._logs.look()
        self._recorder.arm()
        self._report_losses()

    def _report_losses(self) -> None:
        """What was lost since the last turn becomes amounts of counters: loss is told, not only kept."""
        if self._options["report"]:
            self._losses.tell(self._totals(), self._recorder.recorded + len(self._recorder.rows))

    def _report_log_losses(self) -> None:
        """The pump of log records saw some: the other one tells of them."""
        if self._options["report"] and self._losses.any_new(self._totals()):
            self._start()
            if self._recorder.wakeups.empty():
                self._recorder.wakeups.put(None)

    def _totals(self) -> losses.Totals:
        return losses.totals(self._recorder, self._pump, self._series, self._spool, self._logs)

    def _start_afresh(self) -> None:
        """In a forked child: nothing recorded, nothing pending, a new boot id, and no thread until the first call."""
        self._series.after_fork()
        self._recorder.reset()
        self._losses.reset()
        encoder = self._encoder()
        self._pump.reset(encoder)
        self._pump.backlog.reset(encoder.boot)
        self._logs.start_afresh()
        after_fork = getattr(self._transport, "after_fork", None)
        if after_fork is not None:
            after_fork()


def _nothing() -> None:
    """Nobody needs to know of an outage."""


def _spool(settled: Mapping[str, Any], source: str, boot: str, mark: str = "") -> Spool | None:
    """The spool, when a folder was named and there is something to keep. Raises InvalidOption."""
    if not settled["spool"] or settled["disabled"]:
        return None
    from tocsin.spool import opened

    return opened(settled, source, boot, mark)


class _Nowhere:
    """The transport of a client that is disabled."""

    def send(self, key: bytes, value: bytes, on_result: Any) -> None:
        """Nothing is ever recorded, so nothing is ever sent."""

    def flush(self, timeout: float) -> int:
        """Nothing is ever on its way."""
        return 0


def _transport(
    given: str | Transport | None, kafka: Mapping[str, object] | None, settled: Mapping[str, Any]
) -> Transport:
    """From what code gave, or the environment. Raises InvalidOption."""
    if settled["disabled"]:
        return _Nowhere()
    chosen = given if given is not None else os.environ.get(options.variable("transport"), "")
    if not chosen:
        raise InvalidOption("transport is missing; give it, set TOCSIN_URL, or set TOCSIN_DISABLED=1")
    if isinstance(chosen, str):
        from tocsin.transport import from_url

        gateways = {name: settled[name] for name in ("token", "ca_file", "cert_file", "key_file")}
        return from_url(chosen, **gateways, kafka=kafka)
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
