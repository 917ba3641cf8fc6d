"""Identity: who sent a request, as its credentials say, and for which sources it may speak.

What: tenant, source or family of sources, scopes. Why: a payload can claim anything, so neither the tenant nor the
right to a source's name ever comes out of one; a body only chooses among the sources that its credentials own. It
refuses a source that is not theirs, and one without a name.
"""

from __future__ import annotations

import dataclasses
from typing import Final

from schemas.limits import SOURCE_CHARS

WRITE: Final = "telemetry:write"


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """`source` alone, or every source that begins with `prefix` where that is given; both empty: none."""

    name: str  # of the credential, for logs: never a secret
    tenant: str
    source: str = ""
    prefix: str | None = None  # "" is any source
    scopes: frozenset[str] = frozenset({WRITE})
    origins: frozenset[str] = frozenset()  # web origins from which it may be used; none: from any, and from no browser

    def may_be(self, source: str) -> bool:
        """Whether this identity may speak for the source."""
        if not source or len(source) > SOURCE_CHARS:
            return False
        return source == self.source or (self.prefix is not None and source.startswith(self.prefix))

    def named(self, wish: str) -> str:
        """The source for a payload that has no place for one, or left it out; "" when there is none.

        `wish`: what the payload calls itself, such as OTLP's service instance. It is put behind the prefix.
        """
        if self.source:
            return self.source
        if self.prefix is None or not wish:
            return ""
        name = wish if wish.startswith(self.prefix) else self.prefix + wish
        return name[:SOURCE_CHARS]


#: Where no credentials are asked for: any source, one tenant.
ANYBODY: Final = Identity("anybody", "default", prefix="")
