"""Settings: environment variables TOCSIN_* to one frozen value. A bad value stops the start with its name.

Refuses to know defaults that belong to a room: time bounds and limits come from the room that enforces them.
"""

from __future__ import annotations

import pathlib
from typing import Annotated

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from access import environment
from access.security import KafkaSecurity
from rollups.limits import Lateness, Limits

PREFIX = "TOCSIN_"
KindsMs = Annotated[tuple[int, int, int, int], NoDecode]
_DEFAULT = Lateness()


class Settings(KafkaSecurity):
    """Everything that an operator may change; how to get to Kafka is inherited. Times in the unit that the name says."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    bootstrap: str = "127.0.0.1:9092"
    application: str = "tocsin"
    partitions: int = Field(4, ge=1, le=1_024)
    replication: int = Field(1, ge=1, le=7)
    session_timeout_s: float = Field(6.0, ge=1.0, le=300.0)
    heartbeat_s: float = Field(0.3, gt=0.0, le=100.0)  # a member lost is told to the others with the next one
    instance: str = ""  # static group membership: stable name of this worker

    lateness_ms: KindsMs = _DEFAULT.lateness_ms
    horizon_ms: KindsMs = _DEFAULT.horizon_ms
    grace_ms: int = Field(_DEFAULT.grace_ms, ge=0)
    future_ms: int = Field(_DEFAULT.future_ms, ge=0)
    skew_ahead_ms: int = Field(_DEFAULT.skew_ahead_ms, ge=0)  # 0: a clock that is ahead is not corrected
    skew_behind_ms: int = Field(_DEFAULT.skew_behind_ms, ge=0)  # 0: one that is behind is not
    max_series: int = Field(Limits().max_series, ge=1)

    checkpoint_s: float = Field(0.2, gt=0.0, le=10.0)
    snapshot_min_s: float = Field(1.0, gt=0.0)
    snapshot_max_s: float = Field(10.0, gt=0.0)
    snapshot_share: float = Field(0.02, gt=0.0, le=1.0)  # of the time, at most, for snapshots
    delivery_timeout_s: float = Field(30.0, gt=0.0)
    restore_timeout_s: float = Field(60.0, gt=0.0, le=75.0)  # Faust goes on unsought after 90
    stuck_after_s: float = Field(30.0, gt=0.0)
    max_chunk_records: int = Field(50_000, ge=1)
    max_chunk_bytes: int = Field(16 << 20, ge=1 << 16)
    max_unsaved_records: int = Field(2_000_000, ge=1)
    max_unsaved_bytes: int = Field(256 << 20, ge=1 << 20)
    max_decompressed_bytes: int = Field(64 << 20, ge=1 << 20)

    slo_path: pathlib.Path = pathlib.Path("examples/slos")
    channels_path: pathlib.Path | None = None
    routes_path: pathlib.Path | None = None
    fingerprint: bool = False
    registry_url: str = ""
    sentry_dsn: str = ""
    health_port: int = Field(0, ge=0, le=65_535)  # 0: none
    health_host: str = "127.0.0.1"
    log_format: str = Field("console", pattern="^(console|json)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @model_validator(mode="after")
    def _in_order(self) -> Settings:
        """Pairs that only make sense one below the other."""
        if self.heartbeat_s * 2 > self.session_timeout_s:
            raise ValueError(
                f"{PREFIX}HEARTBEAT_S {self.heartbeat_s} must be at most half of {PREFIX}SESSION_TIMEOUT_S"
            )
        if self.snapshot_min_s > self.snapshot_max_s:
            raise ValueError(f"{PREFIX}SNAPSHOT_MIN_S {self.snapshot_min_s} is above {PREFIX}SNAPSHOT_MAX_S")
        return self

    @field_validator("lateness_ms", "horizon_ms", mode="before")
    @classmethod
    def _four_kinds(cls, value: object) -> object:
        """'5000,5000,300000,30000': web, desktop, vehicle, other."""
        return tuple(value.split(",")) if isinstance(value, str) else value

    @property
    def lateness(self) -> Lateness:
        """The rollups room's time bounds."""
        return Lateness(
            self.lateness_ms, self.horizon_ms, self.grace_ms, self.future_ms, self.skew_ahead_ms, self.skew_behind_ms
        )

    @property
    def limits(self) -> Limits:
        """The rollups room's limits."""
        return Limits(max_series=self.max_series)


def load(**overrides: object) -> Settings:
    """Settings from the environment. Raises BadSettings, all problems at once, each with its variable's name."""
    return environment.read(Settings, "tocsin", overrides)
