"""Fleet settings: environment variables TOCSIN_FLEET_* of the adapter; what it shares with workers is `settings`.

Refuses to repeat a secret's value in a message.
"""

from __future__ import annotations

import pathlib
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from access import environment
from fleet.adapter import Kind
from fleet.identity import Naming
from streams.acls import FLEET_NAMESPACE
from streams.settings import PREFIX, Settings

FLEET_PREFIX = f"{PREFIX}FLEET_"
#: An adapter's records cost a hundred times what an aggregate's do: less at once, so that its loop turns.
CHUNK_RECORDS = 1_000
UNSAVED_RECORDS = 50_000


class FleetSettings(BaseSettings):
    """What an operator may change about the adapter."""

    model_config = SettingsConfigDict(env_prefix=FLEET_PREFIX, frozen=True, extra="ignore")

    namespace: str = Field(FLEET_NAMESPACE, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    mapping_path: pathlib.Path | None = None
    vin: Literal["hash", "plain"] = "hash"
    vin_secret: SecretStr = SecretStr("")

    def topic(self, kind: Kind) -> str:
        """Where fleet-telemetry puts records of that kind."""
        return f"{self.namespace}_{kind.value}"

    @property
    def naming(self) -> Naming:
        """How vehicles are called."""
        return Naming(self.vin == "plain", self.vin_secret.get_secret_value())


def load(**overrides: object) -> FleetSettings:
    """Settings from the environment. Raises BadSettings, all problems at once."""
    return environment.read(FleetSettings, "tocsin fleet", overrides)


def of_a_process(settings: Settings) -> Settings:
    """A worker's settings, as an adapter's process has them: a group of its own, and less at once."""
    return settings.model_copy(
        update={
            "application": f"{settings.application}.fleet",
            "max_chunk_records": min(settings.max_chunk_records, CHUNK_RECORDS),
            "max_unsaved_records": min(settings.max_unsaved_records, UNSAVED_RECORDS),
        }
    )
