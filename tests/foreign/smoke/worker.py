"""A worker of the job: the product's aggregate and merge, unchanged, between the job's own stages, in one Faust app.

    data -> smoke_intake -> telemetry -> aggregate -> telemetry.partials -> merge -> telemetry.rollups -> smoke_outcome
                  |                                                                        |
                  +-> echo, *-raw, *-suppressed      min, max, dif, sum, cnt, avg  <-------+-> smoke.counts -> smoke_tally -> tagg

What: the same transport, stages, state logs, producer and watchdog as `streams.app`, wired alike. It refuses nothing that
the product takes, and repeats none of it.

Run: TOCSIN_BOOTSTRAP=... python -m tests.foreign.smoke.worker worker
"""

from __future__ import annotations

import time
from collections.abc import Callable

import faust

from alerts.config import read_config
from alerts.route import Routes
from alerts.selection import Selection
from schemas.telemetry import TelemetryDecoder
from streams import fetching, health, logs, settings, topics
from streams.aggregate import AggregateStep
from streams.app import faust_app
from streams.merge import MergeStep
from streams.producer import Producer
from streams.settings import Settings
from streams.stage import Pace, Stage
from streams.statelog import StateLog
from streams.step import Step
from streams.transport import ChunkTransport
from streams.watchdog import Watchdog
from tests.foreign.smoke import job
from tests.foreign.smoke.intake import IntakeStep
from tests.foreign.smoke.once import Once
from tests.foreign.smoke.outcome import OutcomeStep
from tests.foreign.smoke.tally import TallyStep

Makes = Callable[[int], Step]


def steps(told: Settings) -> dict[str, tuple[str, Makes]]:
    """Stage -> (its input topic, what makes its step)."""
    config, wrong = read_config(told.slo_path), job.Wrong.told()
    selection = Selection(config)

    def intake(partition: int) -> Step:
        once = Once(told.bootstrap, told.application, job.ONCE, partition)
        return IntakeStep(partition, once, wrong)

    def aggregate(partition: int) -> Step:
        return AggregateStep(partition, told, selection, config.hash, lambda a: TelemetryDecoder(a.resolve))

    def merge(partition: int) -> Step:
        return MergeStep(partition, told, config, Routes.plain())

    own, outcome, tally = job.STAGES
    return {
        own: (job.DATA, intake),
        "aggregate": (topics.TELEMETRY, aggregate),
        "merge": (topics.PARTIALS, merge),
        outcome: (topics.ROLLUPS, OutcomeStep),
        tally: (job.COUNTS, TallyStep),
    }


def worker(told: Settings) -> faust.App:
    """The app with all its stages."""
    app = faust_app(told)
    producer = Producer(told.bootstrap, told.delivery_timeout_s)
    pace = Pace(told.checkpoint_s, told.snapshot_min_s, told.snapshot_max_s, told.snapshot_share, 2_000_000)
    by_topic: dict[str, Stage[Step]] = {}
    for name, (topic, make) in steps(told).items():
        state = StateLog(told.bootstrap, told.application, name, told.restore_timeout_s)
        by_topic[topic] = Stage(
            name,
            topic,
            make,
            state,
            producer,
            pace,
            lambda: int(app.consumer_generation_id),
            lambda topic, partition: app.consumer.highwater(faust.types.TP(topic, partition)),
            time.time,
        )

    async def restore(topic: str, partition: int) -> int | None:
        stage = by_topic.get(topic)
        return None if stage is None else await stage.restore(partition)

    async def assigned(assignment: set[tuple[str, int]]) -> None:
        for stage in by_topic.values():
            stage.keep_only(partition for topic, partition in assignment if topic == stage.topic)

    async def finish() -> None:
        for stage in by_topic.values():
            await stage.finish()

    ChunkTransport.configure(restore, assigned, told.max_chunk_records, told.max_chunk_bytes, finish=finish)
    fetching.bound(told.max_decompressed_bytes)
    for stage in by_topic.values():
        _agent(app, stage, told.partitions)
    watchdog = Watchdog(app, list(by_topic.values()), told.stuck_after_s)
    app.task(watchdog.run)
    health.serve(told.health_port, list(by_topic.values()), watchdog)
    return app


def _agent(app: faust.App, stage: Stage[Step], partitions: int) -> None:
    channel = app.topic(stage.topic, key_serializer="raw", value_serializer="raw", partitions=partitions)

    async def agent(stream: faust.StreamT[object]) -> None:
        await stage.consume(stream.noack().events())

    async def checkpoints() -> None:
        await stage.checkpoints(lambda: app.should_stop)

    app.agent(channel, name=f"smoke.{stage.name}")(agent)
    app.task(checkpoints)


if __name__ == "__main__":
    found = settings.load()
    logs.start(found.log_format, found.log_level)
    faust.Worker(worker(found), override_logging=False, redirect_stdouts=False).execute_from_commandline()
