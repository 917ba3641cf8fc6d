"""Identity: whose record it is.

What: the name of a vehicle as a source, out of its VIN. Why: a VIN names a person's property, and nothing downstream needs
it: by default the source is a keyed hash, the same for each record and of no use without the key. It refuses a record
without a VIN, and one whose key and value name two.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final

from fleet.limits import VIN_CHARS
from schemas import corrupt
from schemas.corrupt import CorruptRecord

_HASH_BYTES: Final = 12  # two of a million vehicles meet once in 10**17 fleets


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """How vehicles are called. `secret` keys the hash: with an empty one, whoever guesses a VIN can check his guess."""

    plain: bool = False
    secret: str = ""

    def source(self, vin: str) -> str:
        """The id as a source."""
        if self.plain:
            return vin
        key = hashlib.blake2b(self.secret.encode()).digest() if self.secret else b""
        return "vehicle-" + hashlib.blake2b(vin.encode(), digest_size=_HASH_BYTES, key=key).hexdigest()

    def hidden(self, vin: str) -> str:
        """What no text may say of the vehicle; empty where it goes by its VIN."""
        return "" if self.plain else vin


def vin_of(key: bytes | None, told: str) -> str:
    """The VIN of a record by its key, which fleet-telemetry takes from the vehicle's certificate. Raises CorruptRecord."""
    try:
        vin = (key or b"").decode("ascii")
    except UnicodeDecodeError as error:
        raise CorruptRecord(corrupt.SOURCE, -1, "the record's key is no VIN") from error
    if not 0 < len(vin) <= VIN_CHARS or not vin.isprintable():
        raise CorruptRecord(corrupt.SOURCE, -1, f"the record's key has to be the VIN, of 1 to {VIN_CHARS} characters")
    if told and told != vin:
        raise CorruptRecord(corrupt.SOURCE, -1, "the record's key and its value name two vehicles")
    return vin
