"""The adapter's process: fleet-telemetry's topics to `telemetry`, as many processes as one likes in one consumer group.

What: one stage for each of its topics that is there, wired as a worker's are. Why a process of its own: a fleet is one source
among others, its topics have their own partitions, and an adapter that ends must not take the platform along. It refuses to
start without any of its topics, and where its state has other partitions than they have.
"""

from __future__ import annotations

import faust
import structlog

from access.environment import BadSettings
from fleet import mapping
from fleet.adapter import Kind
from fleet.mapping import Mapping
from streams import errors, reporting, topics
from streams.app import Shell
from streams.fleet import FleetStep
from streams.fleet_settings import FleetSettings, of_a_process
from streams.limits import START_LOOK_S
from streams.settings import Settings
from streams.stage import Stage
from streams.step import Step
from streams.topics import Topic

log = structlog.get_logger(__name__)


class FleetWorker(Shell):
    """One process. `kinds`: those whose topics are there."""

    def __init__(self, settings: Settings, fleet: FleetSettings, kinds: list[Kind]) -> None:
        super().__init__(of_a_process(settings))
        self._fleet, self._mapping = fleet, mapping_of(fleet)
        self._drive(*(self._stage_of(kind) for kind in kinds))

    def _stage_of(self, kind: Kind) -> Stage[Step]:
        topic = self._fleet.topic(kind)
        stage = stage_name(topic)

        def step(partition: int) -> FleetStep:
            return FleetStep(stage, topic, partition, kind, self._mapping, self._fleet.naming)

        return self._stage(stage, topic, step)


def stage_name(topic: str) -> str:
    """Of a topic; the state of one namespace must never be taken for another's."""
    return f"fleet-{topic}"


def state_topic(topic: str) -> Topic:
    """Where the snapshots of a topic's stage go."""
    return topics.state(stage_name(topic))


def mapping_of(fleet: FleetSettings) -> Mapping:
    """The mapping. Raises BadSettings, BadMapping."""
    if fleet.mapping_path is None:
        return mapping.read(mapping.default())
    try:
        text = fleet.mapping_path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings([f"TOCSIN_FLEET_MAPPING_PATH: {fleet.mapping_path} cannot be read: {error}"]) from error
    return mapping.read(text)


def prepared(settings: Settings, fleet: FleetSettings, ends: errors.Ending = errors.end_process) -> list[Kind]:
    """The kinds of records whose topics are there; their state topics are made where they are missing."""
    bootstrap = settings.bootstrap
    try:
        known = topics.partitions_of(bootstrap, START_LOOK_S, settings)
    except topics.TopicsUnavailable as error:
        ends(errors.EXIT_RESTART, f"{error}. TOCSIN_BOOTSTRAP says where it is")
        return []
    kinds = [kind for kind in Kind if fleet.topic(kind) in known]
    absent = [fleet.topic(kind) for kind in Kind if kind not in kinds]
    ours = [name for name in (topics.TELEMETRY, topics.LOGS) if name not in known]
    if not kinds or ours:
        wanted = " and ".join(ours) if kinds else "any of " + ", ".join(absent)
        said = (
            "TOCSIN_FLEET_NAMESPACE is fleet-telemetry's `namespace`; `tocsin topics create` makes ours; and a broker shows "
            "nobody what he may not use: `tocsin acls fleet` prints the commands that grant it"
        )
        ends(errors.EXIT_PERSON, f"broker {bootstrap} does not have {wanted}. {said}")
        return []
    if absent:
        log.warning("fleet_topics_absent", topics=absent)
    for kind in kinds:
        source, state = fleet.topic(kind), state_topic(fleet.topic(kind))
        topics.ensure(bootstrap, known[source], settings.replication, settings, (state,))
        found = known.get(state.name, known[source])
        if found != known[source]:
            said = "Delete it while no adapter runs: records are read again, and counted once"
            ends(errors.EXIT_PERSON, f"{state.name} has {found} partitions, {source} has {known[source]}. {said}")
    return kinds


def run(settings: Settings, fleet: FleetSettings) -> None:
    """Run an adapter until it is told to stop or must end."""
    reporting.start(settings.sentry_dsn)
    if fleet.vin == "hash" and not fleet.vin_secret.get_secret_value():
        log.warning(
            "vins_hashed_without_secret", hint="whoever guesses a VIN can check it: set TOCSIN_FLEET_VIN_SECRET"
        )
    mapping_of(fleet)  # its mistakes before any topic is made
    worker = FleetWorker(settings, fleet, prepared(settings, fleet))
    log.info("fleet_starts", topics=[stage.topic for stage in worker.stages])
    shell = faust.Worker(worker.app, loglevel=settings.log_level, override_logging=False, redirect_stdouts=False)
    shell.execute_from_commandline()
