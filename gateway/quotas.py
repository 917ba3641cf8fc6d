"""Quotas: how much a tenant, and each of its sources, may send.

What: token buckets on requests, bytes and measurements, and a count of series. Why: one runaway exporter must not use up
what belongs to everybody; its own client is told when to come again. A bucket may go into debt by what one request
holds, so that a large one passes when there is room, and the average holds all the same. It refuses to queue: over
quota is 429, or the verdict `retry` for a record among others; a series too many is rejected, as another try would be.
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from gateway.identity import Identity
from gateway.limits import QUOTA_SERIES, QUOTA_SOURCES, QUOTA_TENANTS, SERIES_WINDOW_S
from gateway.refusal import Refusal
from gateway.verdicts import Record, Verdict, rejected, retry

REASON: Final = "quota"
SERIES: Final = "series"

Key = TypeVar("Key")


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """A second's worth; 0 is no limit. `series` are active ones within SERIES_WINDOW_S."""

    requests: float = 0.0
    bytes: float = 0.0
    measurements: float = 0.0
    series: int = 0


class Bucket:
    """Tokens that come back at `rate` a second, `burst` of them at most."""

    __slots__ = ("_at", "_burst", "_level", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate, self._burst = rate, burst
        self._level, self._at = burst, now

    def wait(self, now: float) -> float:
        """Seconds until something may be taken; 0 for now."""
        if not self._rate:
            return 0.0
        self._level = min(self._burst, self._level + (now - self._at) * self._rate)
        self._at = now
        return 0.0 if self._level > 0 else (1e-3 - self._level) / self._rate

    def take(self, count: float) -> None:
        """Take it, into debt if need be."""
        self._level -= count


class _Account:
    """The buckets of one tenant or source."""

    __slots__ = ("bytes", "measurements", "requests")

    def __init__(self, rates: Rates, burst_s: float, now: float) -> None:
        self.requests = Bucket(rates.requests, max(rates.requests * burst_s, 1.0), now)
        self.bytes = Bucket(rates.bytes, max(rates.bytes * burst_s, 1.0), now)
        self.measurements = Bucket(rates.measurements, max(rates.measurements * burst_s, 1.0), now)

    def wait(self, now: float) -> float:
        return max(self.requests.wait(now), self.bytes.wait(now), self.measurements.wait(now))


class _Accounts(Generic[Key]):
    """Accounts by key; the one that was used longest ago is forgotten, and would begin anew."""

    def __init__(self, rates: Rates, burst_s: float, most: int) -> None:
        self._rates, self._burst_s, self._most = rates, burst_s, most
        self._known: collections.OrderedDict[Key, _Account] = collections.OrderedDict()

    def of(self, key: Key, now: float) -> _Account:
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = _Account(self._rates, self._burst_s, now)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return found


class Quotas:
    """All quotas of one gateway process. `now` in seconds."""

    def __init__(self, tenant: Rates, source: Rates, burst_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._tenants: _Accounts[str] = _Accounts(tenant, burst_s, QUOTA_TENANTS)
        self._sources: _Accounts[tuple[str, str]] = _Accounts(source, burst_s, QUOTA_SOURCES)
        self._series = Series(tenant.series, source.series, now)

    def request(self, identity: Identity, size: int) -> None:
        """One request with so many bytes, as far as they are declared. Raises Refusal (429)."""
        now = self._now()
        account = self._tenants.of(identity.tenant, now)
        wait = account.wait(now)
        if wait:
            raise Refusal(429, REASON, "the tenant's quota is used up", _whole(wait))
        account.requests.take(1)
        account.bytes.take(size)

    def more(self, identity: Identity, size: int) -> None:
        """Bytes of it that were not declared."""
        self._tenants.of(identity.tenant, self._now()).bytes.take(size)

    def record(self, identity: Identity, record: Record) -> Verdict | None:
        """Why a good record is not taken; None where it is, and is counted."""
        now = self._now()
        tenant = self._tenants.of(identity.tenant, now)
        source = self._sources.of((identity.tenant, record.source), now)
        wait = max(tenant.measurements.wait(now), source.wait(now))
        if wait:
            return retry(REASON, f"the quota of {record.source[:40]!r} or its tenant is used up", _whole(wait))
        if not self._series.admit(identity.tenant, record):
            return rejected(SERIES, f"{record.source[:40]!r} or its tenant has too many series")
        tenant.measurements.take(record.measurements)
        source.requests.take(1)
        source.bytes.take(len(record.value))
        source.measurements.take(record.measurements)
        return None


class Series:
    """Series seen within the window, by tenant and source. Limits of 0 are none."""

    def __init__(self, tenant_most: int, source_most: int, now: Callable[[], float]) -> None:
        self._tenant_most, self._source_most, self._now = tenant_most, source_most, now
        self._begin()

    def _begin(self) -> None:
        self._since = self._now()
        self._held = 0
        self._count: dict[str, int] = {}
        self._seen: dict[tuple[str, str], set[int]] = {}

    def admit(self, tenant: str, record: Record) -> bool:
        """Whether the record's series fit; then they are remembered."""
        if not self._tenant_most and not self._source_most:
            return True
        if self._now() - self._since > SERIES_WINDOW_S or self._held > QUOTA_SERIES:
            self._begin()
        seen = self._seen.get((tenant, record.source), set())
        new = set(record.series) - seen
        if not new:
            return True
        total = self._count.get(tenant, 0) + len(new)
        if self._source_most and len(seen) + len(new) > self._source_most:
            return False
        if self._tenant_most and total > self._tenant_most:
            return False
        self._seen[tenant, record.source] = seen | new
        self._count[tenant] = total
        self._held += len(new)
        return True


def _whole(seconds: float) -> int:
    return max(1, -int(-seconds // 1))
