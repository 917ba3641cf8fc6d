"""The wiring: settings to a Faust app with three agents. The only place that knows every stage of the platform.

Read it top to bottom: what every process of ours is (`streams.fleet_app` is another one), then configuration and stages. It refuses to start on half a configuration.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import faust
import structlog

from access.environment import BadSettings
from alerts.config import Config, read_config
from alerts.route import Routes, read_routes
from alerts.selection import Selection
from schemas.telemetry import TelemetryDecoder
from sinks.channels import Channels, read_channels
from sinks.delivery import Delivery
from sinks.network import Network
from streams import admission, commands, credentials, errors, fetching, health, refused, reporting, topics
from streams.aggregate import AggregateStep
from streams.clock import SteadyClock
from streams.limits import START_LOOK_S
from streams.merge import MergeStep
from streams.notify import NotifyStep
from streams.producer import Producer
from streams.registry import lookup
from streams.settings import PREFIX, Settings
from streams.stage import Pace, Stage
from streams.statelog import StateLog
from streams.step import Step
from streams.transport import ChunkTransport
from streams.watchdog import Watchdog

log = structlog.get_logger(__name__)
FETCH_BYTES = 4 << 20  # of a partition; an answer is held three times over, and twice as much took no less time
STREAM_BUFFER = 16  # chunks, not records; a smaller one makes Faust pause partitions, which costs seconds to resume


class Shell:
    """What a process of ours is, whatever its stages decide: a Faust app that drives them."""

    stages: tuple[Stage[Step], ...]

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.app = faust_app(settings)
        self.clock = SteadyClock()
        self.producer = Producer(settings.bootstrap, settings.delivery_timeout_s, refused.instead, security=settings)

    def _drive(self, *stages: Stage[Step]) -> None:
        """Wire the stages, in the order of the path."""
        settings, self.stages = self.settings, stages
        self._by_topic = {stage.topic: stage for stage in stages}
        self.watchdog = Watchdog(self.app, stages, settings.stuck_after_s)
        ChunkTransport.configure(
            self._restore,
            self._assigned,
            settings.max_chunk_records,
            settings.max_chunk_bytes,
            finish=self._finish,
        )
        fetching.bound(settings.max_decompressed_bytes)
        for stage in stages:
            self._agent(stage)
        self.app.task(self.watchdog.run)
        if settings.health_port:
            self._serve_health(settings.health_host, settings.health_port)

    def _stage(self, name: str, topic: str, make_step: Callable[[int], Step]) -> Stage[Step]:
        settings = self.settings
        pace = Pace(
            settings.checkpoint_s,
            settings.snapshot_min_s,
            settings.snapshot_max_s,
            settings.snapshot_share,
            settings.max_unsaved_records,
            settings.max_unsaved_bytes,
        )
        state = StateLog(settings.bootstrap, settings.application, name, settings.restore_timeout_s, settings)
        return Stage(
            name, topic, make_step, state, self.producer, pace, self._generation, self._highwater, self.clock.now
        )

    def _generation(self) -> int:
        return int(self.app.consumer_generation_id)

    def _highwater(self, topic: str, partition: int) -> int | None:
        found = self.app.consumer.highwater(faust.types.TP(topic, partition))
        return None if found is None else int(found)

    async def _restore(self, topic: str, partition: int) -> int | None:
        stage = self._by_topic.get(topic)
        return None if stage is None else await stage.restore(partition)

    async def _assigned(self, assignment: set[tuple[str, int]]) -> None:
        for stage in self.stages:
            stage.keep_only(partition for topic, partition in assignment if topic == stage.topic)

    async def _finish(self) -> None:
        """The last checkpoints, before the group is left: in the order of the path."""
        for stage in self.stages:
            await stage.finish()

    def _serve_health(self, host: str, port: int) -> None:
        try:
            health.serve(port, self.stages, self.watchdog, host)
        except OSError as error:
            names = "TOCSIN_HEALTH_HOST, TOCSIN_HEALTH_PORT"
            raise BadSettings([f"{names}: {host}:{port} cannot be had: {error.strerror or error}"]) from error

    def _raw(self, topic: str) -> faust.TopicT:
        """A topic as bytes: what they mean is for the rooms to say."""
        return self.app.topic(topic, key_serializer="raw", value_serializer="raw", partitions=self.settings.partitions)

    def _agent(self, stage: Stage[Step]) -> None:
        async def agent(stream: faust.StreamT[object]) -> None:
            await stage.consume(stream.noack().events())

        async def checkpoints() -> None:
            await stage.checkpoints(lambda: self.app.should_stop)

        self.app.agent(self._raw(stage.topic), name=f"streams.{stage.name}")(agent)
        self.app.task(checkpoints)


class Worker(Shell):
    """One worker process of the platform."""

    def __init__(self, settings: Settings) -> None:
        files_are_there(settings)
        self.config: Config = read_config(settings.slo_path)
        super().__init__(settings)
        selection = Selection(self.config)
        registry = lookup(settings.registry_url)

        def aggregate(partition: int) -> AggregateStep:
            return AggregateStep(
                partition, settings, selection, self.config.hash, lambda a: TelemetryDecoder(a.resolve, registry)
            )

        def merge(partition: int) -> MergeStep:
            return MergeStep(partition, settings, self.config, routes)

        channels = read_channels(settings.channels_path, os.environ) if settings.channels_path else Channels({})
        known = list(channels.by_name)
        routes = read_routes(settings.routes_path, known) if settings.routes_path else Routes.plain(*known)
        self.exchange = Network()
        self.delivery = Delivery(channels.sinks, self.exchange, self.clock.now_ms, self._delivered)

        def notify(partition: int) -> NotifyStep:
            return NotifyStep(partition, settings, routes, channels, self.delivery)

        self._drive(
            self._stage("aggregate", topics.TELEMETRY, aggregate),
            self._stage("merge", topics.PARTIALS, merge),
            self._stage("notify", topics.ALERTS, notify),
        )
        self._commands()
        self.app.task(self._deliveries)

    def _delivered(self) -> None:
        """An attempt was settled: say so in the log soon."""
        self._by_topic[topics.ALERTS].hurry()

    def _commands(self) -> None:
        async def agent(stream: faust.StreamT[object]) -> None:
            await commands.forward(stream.noack().events(), self.producer)

        self.app.agent(self._raw(topics.COMMANDS), name="streams.commands")(agent)

    async def _deliveries(self) -> None:
        try:
            await self.delivery.run()
        finally:
            await self.exchange.close()


def faust_app(settings: Settings) -> faust.App:
    """A Faust app that leaves to Faust what it does well: membership, assignment, agents, lifecycle."""
    app = faust.App(
        settings.application,
        broker=f"kafka://{settings.bootstrap.replace(',', ';kafka://')}",
        store="memory://",
        topic_partitions=settings.partitions,
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=FETCH_BYTES,
        consumer_group_instance_id=settings.instance or None,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.heartbeat_s,
        broker_max_poll_records=settings.max_chunk_records,
        broker_commit_interval=1.0,
        stream_buffer_maxsize=STREAM_BUFFER,
        stream_wait_empty=False,
        table_standby_replicas=0,
        topic_disable_leader=True,
        topic_allow_declare=False,
        producer_threaded=False,
        web_enabled=False,
        agent_supervisor="mode.CrashingSupervisor",
        autodiscover=False,
        broker_credentials=credentials.of(settings),
    )
    app.transport = ChunkTransport(app.conf.broker, app, app.loop)
    return app


def files_are_there(settings: Settings) -> None:
    """Raises BadSettings with each path that leads nowhere."""
    named = {name: getattr(settings, name) for name in ("slo_path", "channels_path", "routes_path")}
    gone = [f"{PREFIX}{name.upper()}: there is no {path}" for name, path in named.items() if path and not path.exists()]
    if gone:
        raise BadSettings(gone)


def look_at_topics(settings: Settings, ends: errors.Ending = errors.end_process) -> None:
    """Before the start: no broker is worth another try; a topic that is missing, or has other partitions, is for a person;
    the rest is said and no more."""
    try:
        found = topics.drift(settings.bootstrap, settings.partitions, settings.replication, START_LOOK_S, settings)
    except topics.BrokerUnreachable as error:
        ends(errors.EXIT_RESTART, f"{error}. TOCSIN_BOOTSTRAP says where it is; `tocsin doctor` looks closer")
        return
    except topics.TopicsUnavailable as error:
        log.warning("topics_not_seen", why=str(error))  # describing them may be forbidden to a worker
        return
    for one in found:
        log.warning("topic_drift", topic=one.topic, what=one.what, expected=one.expected, found=one.found)
    fatal = [
        f"{one.topic}: {one.what} is {one.found}, should be {one.expected}" for one in found if one.what in topics.FATAL
    ]
    if fatal:
        ends(errors.EXIT_PERSON, f"{'; '.join(fatal)}. `tocsin topics create` makes what is missing")


def run(settings: Settings) -> None:
    """Run a worker until it is told to stop or must end."""
    reporting.start(settings.sentry_dsn)
    worker = Worker(settings)
    admission.wait(settings, worker.watchdog.waits)
    look_at_topics(settings)
    log.info("worker_starts", slos=len(worker.config.slos), config=worker.config.hash, partitions=settings.partitions)
    shell = faust.Worker(worker.app, loglevel=settings.log_level, override_logging=False, redirect_stdouts=False)
    shell.execute_from_commandline()
