"""Recent: which records Kafka has acknowledged lately, so that a repeat is answered and not sent again.

What: (tenant, source, boot, sequence) of the last so many acknowledged records. Why: a client whose answer was lost
sends the same again; the workers count it once anyway, and this spares the topic. It refuses to be the authority: it
forgets, and another gateway knows nothing of it; what it does not know is sent.
"""

from __future__ import annotations

from gateway.limits import RECENT_RECORDS

Key = tuple[str, str, str, int]


class Recent:
    """The last `most` keys, in order of their acknowledgement."""

    def __init__(self, most: int = RECENT_RECORDS) -> None:
        self._most = most
        self._keys: dict[Key, None] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def add(self, key: Key) -> None:
        """Remember one. A sequence below 0 has no identity and is not remembered."""
        if key[3] < 0:
            return
        self._keys[key] = None
        if len(self._keys) > self._most:
            del self._keys[next(iter(self._keys))]
