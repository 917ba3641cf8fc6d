"""Schema registry: schema text of an id, over the REST API that Confluent's and Apicurio's registries share.

One GET for each id that this process does not know yet: what an id means never changes, so a partition that comes to a
worker which knows it does not need the registry. It refuses to guess: an outage raises and
ends the worker's attempt at the chunk, since a record is not unreadable because the registry is away.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request

from schemas.framing import Lookup
from schemas.limits import KNOWN_SCHEMAS

TIMEOUT_S = 5.0
MAX_BYTES = 1 << 20
NOT_FOUND = 404


class RegistryUnavailable(RuntimeError):
    """The schema registry did not answer."""


def lookup(url: str) -> Lookup | None:
    """A lookup at the registry whose API begins at `url` (with Apicurio: .../apis/ccompat/v7); None for no registry."""
    if not url:
        return None
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"TOCSIN_REGISTRY_URL must begin with http:// or https://, found {url!r}")

    known: dict[int, str] = {}

    def text_of(schema_id: int) -> str | None:
        if schema_id in known:
            return known[schema_id]
        try:
            with urllib.request.urlopen(
                f"{url.rstrip('/')}/schemas/ids/{schema_id}", timeout=TIMEOUT_S
            ) as answer:  # scheme checked above
                text = str(json.loads(answer.read(MAX_BYTES))["schema"])
        except urllib.error.HTTPError as error:
            if error.code == NOT_FOUND:
                return None
            raise RegistryUnavailable(f"{url}: {error}") from error
        except (urllib.error.URLError, OSError, ValueError, KeyError) as error:
            raise RegistryUnavailable(f"{url}: {error}") from error
        if len(known) >= KNOWN_SCHEMAS:
            known.clear()
        known[schema_id] = text
        return text

    return text_of
