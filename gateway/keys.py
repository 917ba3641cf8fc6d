"""API keys: a file of hashes, and whose each of them is.

What: `tck_<id>_<secret>` is known by its SHA-256; the file says tenant, source or family of sources, scopes, web origins
and until when. Two entries may have one id, so that a new key works before the old one ends; the file is read again when
it changes. Why: whoever reads the file can send nothing; a secret of 256 random bits needs no slow hash. It refuses a file
with a mistake, with its place, and goes on with the last good one; and sources of one tenant that another tenant owns.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import pathlib
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gateway import selfmetrics
from gateway.identity import WRITE, Identity
from gateway.limits import KEYS_LOOK_S

log = structlog.get_logger(__name__)

MARK: Final = "tck_"
_SECRET_BYTES: Final = 32
_ID = r"^[a-z0-9][a-z0-9-]{0,62}$"
_HASH = r"^[0-9a-f]{64}$"


class BadKeys(ValueError):
    """The file of keys has mistakes"""

    def __init__(self, path: pathlib.Path, problems: Sequence[str]) -> None:
        super().__init__(f"{type(self).__doc__}: {path}: {'; '.join(problems)}")
        self.problems = list(problems)


class Entry(BaseModel):
    """One key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=_ID)
    hash: str = Field(pattern=_HASH)
    tenant: str = Field(min_length=1, max_length=64)
    source: str = Field("", max_length=128)
    prefix: str | None = Field(None, max_length=96)
    scopes: frozenset[str] = frozenset({WRITE})
    origins: frozenset[str] = frozenset()
    not_after: datetime | None = None

    @model_validator(mode="after")
    def _one_right(self) -> Entry:
        if bool(self.source) == (self.prefix is not None):
            raise ValueError("either source or prefix is needed")
        if self.not_after is not None and self.not_after.tzinfo is None:
            raise ValueError("not_after needs its offset from UTC, such as 2027-01-01T00:00:00Z")
        return self

    @property
    def identity(self) -> Identity:
        """Whose it is."""
        return Identity(self.id, self.tenant, self.source, self.prefix, self.scopes, self.origins)

    def shares_sources(self, other: Entry) -> bool:
        """Whether a source exists for which both may speak."""
        mine, yours = self.prefix, other.prefix
        if mine is not None and yours is not None:
            return mine.startswith(yours) or yours.startswith(mine)
        return self.identity.may_be(other.source) or other.identity.may_be(self.source)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Entry]


@dataclasses.dataclass(frozen=True, slots=True)
class Made:
    """A new key: the text that its owner gets, once, and what the file gets."""

    text: str
    hash: str


def made(name: str) -> Made:
    """A new key of 256 random bits."""
    text = f"{MARK}{name}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    return Made(text, hash_of(text))


def hash_of(text: str) -> str:
    """How the file knows a key."""
    return hashlib.sha256(text.encode()).hexdigest()


def read(path: pathlib.Path) -> dict[str, Entry]:
    """Entries by their hash. Raises BadKeys."""
    try:
        found = _File.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {})
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise BadKeys(path, [str(error)]) from error
    except ValidationError as error:
        places = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise BadKeys(path, places) from error  # the values stay out: one of them may be a key, put there by mistake
    problems = [
        f"{one.id} of {one.tenant} and {other.id} of {other.tenant} share sources"
        for one, other in itertools.combinations(found.keys, 2)
        if one.tenant != other.tenant and one.shares_sources(other)
    ]
    by_hash = {entry.hash: entry for entry in found.keys}
    if len(by_hash) < len(found.keys):
        problems.append("a hash is there twice")
    if problems:
        raise BadKeys(path, problems)
    return by_hash


class Keys:
    """The keys of a file, as it is now. Raises BadKeys when it is bad at the start."""

    def __init__(self, path: pathlib.Path, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._looked = now()
        self._mark = self._stat()
        self._entries = read(path)

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0, 0
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _look(self) -> None:
        """Read the file again when it has changed; asked at most once in KEYS_LOOK_S."""
        if abs(self._now() - self._looked) < KEYS_LOOK_S:
            return
        self._looked = self._now()
        mark = self._stat()
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._entries = read(self._path)
            log.info("keys_read", keys=len(self._entries))
        except BadKeys as error:
            selfmetrics.KEYS_REFUSED.inc()
            log.error("keys_refused", problems=error.problems)  # noqa: TRY400  # a trace says nothing more

    def find(self, text: str) -> Identity | None:
        """Whose key it is; None for one that is unknown or over."""
        self._look()
        entry = self._entries.get(hash_of(text))
        if entry is None or (entry.not_after is not None and entry.not_after.timestamp() <= self._now()):
            return None
        return entry.identity

    def origins(self) -> frozenset[str]:
        """Every web origin of any key."""
        self._look()
        return frozenset().union(*(entry.origins for entry in self._entries.values()))
