"""Settings: environment variables TOCSIN_GATEWAY_* to one frozen value. A bad value stops the start with its name.

What: everything that an operator may change; times and sizes in the unit that the name says. Why: one page lists them
(docs/howto/run-a-gateway.md), and a test holds the page against this. It refuses unknown values, and to listen to other
machines without either credentials or the word that it shall be open.
"""

from __future__ import annotations

import pathlib
from typing import Annotated, Final

from pydantic import Field, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from access import environment
from access.address import guarded_url, loopback
from access.security import KafkaSecurity
from gateway.identity import WRITE
from gateway.limits import HEAD_S, REQUEST_S, SPARE_S

PREFIX = "TOCSIN_GATEWAY_"
#: Algorithms of tokens that may be configured; with a symmetric one the issuer's public key would be the secret.
ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)

Names = Annotated[tuple[str, ...], NoDecode]


class Settings(KafkaSecurity):
    """One gateway process; how it gets to Kafka is inherited."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    host: str = "127.0.0.1"
    port: int = Field(4318, ge=0, le=65_535)  # 0: any that is free
    health_host: str = "127.0.0.1"
    health_port: int = Field(4319, ge=0, le=65_535)
    topic: str = "telemetry"
    logs_topic: str = "logs"
    keys_path: pathlib.Path | None = None
    origins: Names = ()  # of web pages, for credentials that name none
    tls_cert: pathlib.Path | None = None
    tls_key: pathlib.Path | None = None
    tls_client_ca: pathlib.Path | None = None  # certificates of clients are asked for
    jwks_url: str = ""
    jwt_issuer: str = ""
    jwt_audience: str = ""
    jwt_algorithms: Names = ("RS256", "ES256")
    jwt_tenant_claim: str = "tenant"
    jwt_source_claim: str = "sub"
    jwt_prefix_claim: str = ""
    jwt_scope: str = WRITE
    open: bool = False  # no credentials asked for, though other machines can reach it

    delivery_timeout_s: float = Field(5.0, gt=0.0, le=30.0)
    memory_mib: int = Field(128, ge=1)  # of bodies being read or on their way
    readers: int = Field(1, ge=1, le=64)  # processes that read large bodies beside the one that answers
    queue_mib: int = Field(64, ge=1)  # of librdkafka
    max_connections: int = Field(2_000, ge=1)
    head_s: float = Field(HEAD_S, gt=0.0, le=60.0)  # from the connection to the end of a request's headers
    request_s: float = Field(REQUEST_S, gt=0.0, le=600.0)  # from there to the end of its answer; then it is cut
    drain_wait_s: float = Field(0.0, ge=0.0, le=60.0)  # between "not ready" and the closed door, for load balancers
    drain_s: float = Field(20.0, gt=0.0, le=120.0)  # for the requests under way

    spool_dir: pathlib.Path | None = None  # where records wait while brokers are away; none: 503 then
    spool_mib: int = Field(1_024, ge=16)
    spool_age_s: float = Field(86_400.0, gt=0.0)  # older records are dropped, and counted

    # of each tenant and each source; 0: no limit
    tenant_requests_s: float = Field(0.0, ge=0.0)
    tenant_bytes_s: float = Field(0.0, ge=0.0)  # as they come over the wire
    tenant_measurements_s: float = Field(0.0, ge=0.0)
    tenant_series: int = Field(0, ge=0)
    source_records_s: float = Field(0.0, ge=0.0)
    source_bytes_s: float = Field(0.0, ge=0.0)  # of records, unfolded
    source_measurements_s: float = Field(0.0, ge=0.0)
    source_series: int = Field(0, ge=0)
    quota_burst_s: float = Field(10.0, gt=0.0, le=3_600.0)  # so many seconds' worth may come at once
    slo_path: pathlib.Path | None = None  # what these SLOs read goes first when memory is short

    access_log: str = Field("all", pattern="^(all|failures|none)$")
    log_format: str = Field("console", pattern="^(console|json)$")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")

    @field_validator("origins", "jwt_algorithms", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """'a,b' as a list."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @property
    def guarded(self) -> bool:
        """Whether credentials are asked for."""
        return bool(self.keys_path or self.jwks_url or self.tls_client_ca)

    @model_validator(mode="after")
    def _safe(self) -> Settings:
        if not self.open and not self.guarded and not loopback(self.host):
            raise ValueError(
                f"{PREFIX}HOST {self.host} is open to other machines: set up credentials, or {PREFIX}OPEN=true"
            )
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError(f"{PREFIX}TLS_CERT and {PREFIX}TLS_KEY go together")
        if self.tls_client_ca is not None and self.tls_cert is None:
            raise ValueError(f"{PREFIX}TLS_CLIENT_CA needs {PREFIX}TLS_CERT and {PREFIX}TLS_KEY")
        if self.request_s < self.delivery_timeout_s + SPARE_S:
            raise ValueError(
                f"{PREFIX}REQUEST_S must be {SPARE_S:.0f} s longer than {PREFIX}DELIVERY_TIMEOUT_S, or who waits for Kafka is cut"
            )
        return self

    @model_validator(mode="after")
    def _tokens(self) -> Settings:
        if not self.jwks_url:
            return self
        if not self.jwt_issuer or not self.jwt_audience:
            raise ValueError(f"{PREFIX}JWKS_URL needs {PREFIX}JWT_ISSUER and {PREFIX}JWT_AUDIENCE")
        if not guarded_url(self.jwks_url):
            raise ValueError(f"{PREFIX}JWKS_URL: https is needed, or this machine's own address")
        unknown = set(self.jwt_algorithms) - ASYMMETRIC
        if unknown or not self.jwt_algorithms:
            raise ValueError(f"{PREFIX}JWT_ALGORITHMS: known are {', '.join(sorted(ASYMMETRIC))}")
        return self


def load(**overrides: object) -> Settings:
    """Settings from the environment. Raises BadSettings, all problems at once, each with its variable's name."""
    return environment.read(Settings, "tocsin gateway", overrides)
