"""Server: the parts put together, and a life from the first socket to the last acknowledgement.

What: listen, serve, and at SIGTERM: say "not ready", wait for the balancers, close the door, let requests under way
end, deliver what is on its way. Why: a roll-out must not cost a client one lost answer more than needed. It refuses to
end with requests cut before their time is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import ssl
from collections.abc import AsyncIterator, Mapping

import structlog

from gateway import openapi, script, selfmetrics
from gateway.accesslog import AccessLog
from gateway.certificate import context
from gateway.connection import Listener
from gateway.credentials import Credentials
from gateway.delivery import Delivery
from gateway.door import Door, Route, Work, anybody
from gateway.health import routes as health_routes
from gateway.intake import Intake
from gateway.keys import Keys
from gateway.large import Large
from gateway.limits import HANDSHAKE_S
from gateway.memory import Budget
from gateway.quotas import Quotas, Rates
from gateway.remotewrite import route as write
from gateway.replay import replayed
from gateway.settings import Settings
from gateway.split import Split
from gateway.spool import Spool
from gateway.telemetry import PATH, Telemetry
from gateway.uploads import EACH as EACH_UPLOAD
from gateway.uploads import PATH as UPLOADS
from gateway.uploads import Uploads

log = structlog.get_logger(__name__)

_HEALTH_CONNECTIONS = 64
_BACKLOG = 512


class Gateway:
    """One process' gateway. Raises BadKeys, OSError for its files. `start`, then `drain`; `url` and `health_url` once it listens."""

    def __init__(self, settings: Settings, bootstrap: str, watched: frozenset[str] = frozenset()) -> None:
        self.settings = settings
        self._watched = watched
        self.budget = Budget(settings.memory_mib << 20)
        self.large = Large(settings.readers)
        wait_s, queue = settings.delivery_timeout_s, settings.queue_mib << 20
        self.delivery = Delivery(bootstrap, settings.topic, wait_s, queue, security=settings)
        self.logs = Delivery(bootstrap, settings.logs_topic, wait_s, queue >> 2, security=settings)
        self.spool: Spool | None = None
        self._replay: asyncio.Task[None] | None = None
        self._credentials = credentials(settings)
        self._tls = tls(settings)
        self.draining = False
        self.url = ""
        self.health_url = ""
        self._servers: list[tuple[asyncio.Server, Listener]] = []

    async def start(self) -> None:
        """Listen on both addresses. Raises OSError when one, or the spool's folder, cannot be had."""
        settings = self.settings
        if settings.spool_dir is not None:
            most = settings.spool_mib << 20
            self.spool = await asyncio.to_thread(Spool, settings.spool_dir, most, settings.spool_age_s)
            self._replay = asyncio.create_task(replayed(self.spool, self.delivery), name="replay")
        publisher = Split(self.delivery, self.logs)
        intake = Intake(publisher, quotas(settings), lambda: self.budget.share, self._watched, self.spool, self.large)
        routes = {PATH: Route("POST", Telemetry(intake, self.budget, self.large), browsers=True)}
        uploads = Uploads(intake, self.budget)
        routes[UPLOADS] = Route("POST", uploads.begin)
        routes[EACH_UPLOAD] = Route("PATCH", uploads.use, also=("HEAD", "DELETE"))
        routes[write.PATH] = Route("POST", write.Write(intake, self.budget, self.large))
        routes[script.PATH] = Route("GET", script.Script(), open=True)
        routes |= otlp_routes(intake, self.budget, self.large)
        routes[openapi.PATH] = Route("GET", openapi.Description([*routes, openapi.PATH]), open=True)
        who = self._credentials
        public = Door(routes, who, AccessLog(settings.access_log), who.knows_origin)
        private = Door(health_routes(self.not_ready, self._refresh, self._spool_told), anybody, AccessLog("none"))
        health = Listener(private, _HEALTH_CONNECTIONS)
        self.health_url = await self._listen(health, settings.health_host, settings.health_port, None)
        listener = Listener(public, settings.max_connections, head_s=settings.head_s, request_s=settings.request_s)
        self.url = await self._listen(listener, settings.host, settings.port, self._tls)
        self.delivery.start()
        self.logs.start()
        log.info("gateway_listens", url=self.url, health=self.health_url, topic=settings.topic)

    async def _listen(self, listener: Listener, host: str, port: int, tls: ssl.SSLContext | None) -> str:
        server = await asyncio.get_running_loop().create_server(
            listener, host, port, ssl=tls, backlog=_BACKLOG, ssl_handshake_timeout=HANDSHAKE_S if tls else None
        )
        self._servers.append((server, listener))
        where = server.sockets[0].getsockname()[:2]
        name = f"[{where[0]}]" if ":" in where[0] else where[0]
        return f"{'https' if tls else 'http'}://{name}:{where[1]}"

    def not_ready(self) -> str:
        """Why nothing should be sent here now; "" when it may."""
        if self.draining:
            return "draining"
        if self.spool is not None and not self.spool.full:
            return ""
        return self.delivery.away

    def _refresh(self) -> None:
        selfmetrics.MEMORY.set(self.budget.used)
        if self.spool is not None:
            selfmetrics.SPOOL_RECORDS.set(self.spool.records)
            selfmetrics.SPOOL_BYTES.set(self.spool.bytes)
            selfmetrics.SPOOL_AGE.set(self.spool.age_now_s)

    def _spool_told(self) -> Mapping[str, object]:
        """For /readyz: how deep the spool is, and how old."""
        if self.spool is None:
            return {}
        told = {"records": self.spool.records, "bytes": self.spool.bytes, "oldest_s": round(self.spool.age_now_s, 1)}
        return {"spool": told, "broker": self.delivery.away or "there"}

    async def drain(self) -> int:
        """End in order; records whose delivery is unknown. Health answers to the last."""
        self.draining = True
        selfmetrics.DRAINING.set(1)
        await asyncio.sleep(self.settings.drain_wait_s)
        for server, listener in reversed(self._servers):
            server.close()
            await asyncio.sleep(0)  # what has come in begins before idle connections are let go
            await listener.drain(self.settings.drain_s)
        await asyncio.to_thread(self.large.close)
        if self.spool is not None and self._replay is not None:
            self._replay.cancel()
            await asyncio.gather(self._replay, return_exceptions=True)
            await asyncio.to_thread(self.spool.close)
        closes = (
            asyncio.to_thread(each.close, self.settings.delivery_timeout_s) for each in (self.delivery, self.logs)
        )
        left = sum(await asyncio.gather(*closes))
        log.info("gateway_ended", undelivered=left)
        return left


def otlp_routes(intake: Intake, budget: Budget, large: Large) -> Mapping[str, Route]:
    """OTLP's, where the packages of the extra `gateway` are installed; else none, and the log says so."""
    try:
        from gateway.otlp import logs, route
    except ModuleNotFoundError as missing:
        log.warning("no_otlp", missing=missing.name)
        return {}
    works: dict[str, Work] = {
        route.PATH: route.Metrics(intake, budget, large),
        logs.PATH: logs.Logs(intake, budget, large),
    }
    return {path: Route("POST", work, browsers=True, refused=route.refused) for path, work in works.items()}


def credentials(settings: Settings) -> Credentials:
    """Who is in, as configured. Raises BadKeys."""
    bearer = None
    if settings.jwks_url:
        from gateway.bearer import Bearer, Terms

        bearer = Bearer(
            Terms(
                settings.jwks_url, settings.jwt_issuer, settings.jwt_audience, settings.jwt_algorithms,
                settings.jwt_tenant_claim, settings.jwt_source_claim, settings.jwt_prefix_claim, settings.jwt_scope,
            )
        )  # fmt: skip
    keys = Keys(settings.keys_path) if settings.keys_path else None
    return Credentials(keys, bearer, frozenset(settings.origins), certificates=settings.tls_client_ca is not None)


def quotas(settings: Settings) -> Quotas:
    """Of tenants and sources, as configured."""
    return Quotas(
        Rates(
            settings.tenant_requests_s, settings.tenant_bytes_s, settings.tenant_measurements_s, settings.tenant_series
        ),
        Rates(
            settings.source_records_s, settings.source_bytes_s, settings.source_measurements_s, settings.source_series
        ),
        settings.quota_burst_s,
    )  # fmt: skip


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The gateway's own certificate, where it has one. Raises OSError, ssl.SSLError."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    alone = settings.keys_path is None and not settings.jwks_url
    return context(settings.tls_cert, settings.tls_key, settings.tls_client_ca, required=alone)


@contextlib.asynccontextmanager
async def running(settings: Settings, bootstrap: str) -> AsyncIterator[Gateway]:
    """A started gateway, drained at the end."""
    gateway = Gateway(settings, bootstrap)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.drain()


async def serve(settings: Settings, bootstrap: str, watched: frozenset[str] = frozenset()) -> int:
    """`watched`: metrics that an SLO reads. Until SIGTERM or SIGINT: 0, or 1 where a delivery stayed unknown."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(which, asked.set)
    gateway = Gateway(settings, bootstrap, watched)
    await gateway.start()
    gc.collect()
    gc.freeze()  # what is here now stays, and a collection that looks through all of it takes 50 ms of the loop
    await asked.wait()
    log.info("gateway_drains")
    return 1 if await gateway.drain() else 0
