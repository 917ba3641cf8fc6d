"""The schemas that ship with this room, parsed once and kept.

What: `schema(name)` reads schemas/avro/<name>.avsc. Why: the files are the contract; nothing in code repeats them. It
refuses names that are not there with the file system's own error.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

from schemas.framing import Schema

TELEMETRY: Final = ("telemetry_event", "telemetry_batch")


@cache
def schema(name: str) -> Schema:
    """The bundled schema of this file name, without `.avsc`."""
    return Schema.of(files("schemas").joinpath("avro", f"{name}.avsc").read_text("utf-8"))


def names() -> list[str]:
    """File names of all bundled schemas, without `.avsc`, in order."""
    found = (entry.name for entry in files("schemas").joinpath("avro").iterdir())
    return sorted(name.removesuffix(".avsc") for name in found if name.endswith(".avsc"))


@cache
def released() -> tuple[Schema, ...]:
    """Every released version of every schema: an old client's fingerprint is still known."""
    root = files("schemas").joinpath("released")
    folders = sorted(root.iterdir(), key=lambda entry: entry.name) if root.is_dir() else []
    versions = [version for folder in folders if folder.is_dir() for version in folder.iterdir()]
    return tuple(Schema.of(version.read_text("utf-8")) for version in versions if version.name.endswith(".avsc"))
