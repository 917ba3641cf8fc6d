"""Compatibility: may this schema stand beside all that were ever released?

What: Avro's schema resolution, asked both ways (FULL) against every released version (TRANSITIVE); each answer "no"
names the field. Why: devices send with old firmware for years and topics are replayed, so each version must read and be
read by each other. It refuses cleverness: a rename needs an alias, a field that comes or goes needs a default, an enum
whose symbols change needs a default symbol. Rules: Avro specification 1.12, "Schema Resolution".
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Final

from schemas.walk import Definition

#: Writer's primitive -> the readers that may take it, itself aside.
PROMOTIONS: Final[Mapping[str, frozenset[str]]] = {
    "int": frozenset({"long", "float", "double"}),
    "long": frozenset({"float", "double"}),
    "float": frozenset({"double"}),
    "string": frozenset({"bytes"}),
    "bytes": frozenset({"string"}),
}
PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})


@dataclasses.dataclass(frozen=True, slots=True)
class Clash:
    """Why data of one schema cannot be read with another. `field` is a path such as Resource.source_kind."""

    field: str
    why: str
    writer: str = ""  # which versions, e.g. "1" and "now"
    reader: str = ""

    def __str__(self) -> str:
        ends = f" (written with {self.writer}, read with {self.reader})" if self.writer else ""
        return f"{self.field}: {self.why}{ends}"


class _Names:
    """Named types of one schema, so that a name can stand for its definition."""

    def __init__(self, root: object) -> None:
        self.by_name: dict[str, dict[str, object]] = {}
        self._collect(root)

    def _collect(self, node: object) -> None:
        if isinstance(node, list):
            for branch in node:
                self._collect(branch)
        elif isinstance(node, dict):
            if node.get("type") in ("record", "enum", "fixed"):
                self.by_name.setdefault(_short(node), node)
            for key in ("type", "items", "values"):
                self._collect(node.get(key))
            for field in _fields(node):
                self._collect(field.get("type"))

    def open(self, node: object) -> object:
        """A definition in place of its name, and the type itself in place of {"type": primitive}."""
        if isinstance(node, str) and node not in PRIMITIVES:
            return self.by_name.get(node.rpartition(".")[2], node)
        if isinstance(node, dict) and isinstance(node.get("type"), str) and node["type"] in PRIMITIVES:
            return node["type"]
        return node


def _short(node: Mapping[str, object]) -> str:
    return str(node.get("name", "")).rpartition(".")[2]


def _fields(node: Mapping[str, object]) -> list[dict[str, object]]:
    fields = node.get("fields")
    return [field for field in fields if isinstance(field, dict)] if isinstance(fields, list) else []


def _listed(node: Mapping[str, object], key: str) -> list[str]:
    found = node.get(key)
    return [str(item).rpartition(".")[2] for item in found] if isinstance(found, list) else []


def clashes(writer: Definition, reader: Definition) -> list[Clash]:
    """Every reason why data written with `writer` cannot be read with `reader`; empty when it can."""
    return list(_Resolution(writer, reader).compare(writer, reader, ""))


class _Resolution:
    """One writer against one reader."""

    def __init__(self, writer: Definition, reader: Definition) -> None:
        self.writer = _Names(writer)
        self.reader = _Names(reader)
        self.seen: set[tuple[str, str]] = set()

    def compare(self, writer: object, reader: object, path: str) -> Iterator[Clash]:
        """Clashes of two types at one place."""
        writer, reader = self.writer.open(writer), self.reader.open(reader)
        if isinstance(writer, list):
            for branch in writer:
                yield from self.compare(branch, reader, path)
        elif isinstance(reader, list):
            if all(list(self.compare(writer, branch, path)) for branch in reader):
                yield Clash(path, f"no branch of the reader's union takes {_kind(writer)}")
        elif isinstance(writer, dict) and isinstance(reader, dict) and writer.get("type") == reader.get("type"):
            yield from self._complex(writer, reader, path)
        elif isinstance(writer, str) and isinstance(reader, str):
            if writer != reader and reader not in PROMOTIONS.get(writer, frozenset()):
                yield Clash(path, f"{writer} cannot be read as {reader}")
        else:
            yield Clash(path, f"{_kind(writer)} cannot be read as {_kind(reader)}")

    def _complex(self, writer: dict[str, object], reader: dict[str, object], path: str) -> Iterator[Clash]:
        kind = writer["type"]
        if kind == "array":
            yield from self.compare(writer.get("items"), reader.get("items"), f"{path}[]")
        elif kind == "map":
            yield from self.compare(writer.get("values"), reader.get("values"), f"{path}{{}}")
        elif _short(writer) not in (_short(reader), *_listed(reader, "aliases")):
            yield Clash(path or _short(writer), f"{_short(writer)} was renamed to {_short(reader)} without an alias")
        elif kind == "record":
            yield from self._record(writer, reader, path)
        elif kind == "enum":
            unknown = sorted(set(_listed(writer, "symbols")) - set(_listed(reader, "symbols")))
            if unknown and "default" not in reader:
                yield Clash(path, f"symbols {', '.join(unknown)} are unknown to the reader, which has no default")
        elif writer.get("size") != reader.get("size"):
            yield Clash(path, f"fixed of {writer.get('size')} bytes cannot be read as one of {reader.get('size')}")

    def _record(self, writer: dict[str, object], reader: dict[str, object], path: str) -> Iterator[Clash]:
        pair = (_short(writer), _short(reader))
        if pair in self.seen:
            return
        self.seen.add(pair)
        written = {str(field.get("name")): field for field in _fields(writer)}
        for field in _fields(reader):
            name = str(field.get("name"))
            where = f"{path}.{name}" if path else f"{_short(reader)}.{name}"
            found = next((written[known] for known in (name, *_listed(field, "aliases")) if known in written), None)
            if found is not None:
                yield from self.compare(found.get("type"), field.get("type"), where)
            elif "default" not in field:
                yield Clash(where, "the writer does not have it and the reader has no default")


def _kind(node: object) -> str:
    return f"{node.get('type')} {_short(node)}".strip() if isinstance(node, dict) else str(node)


def full_transitive(now: Definition, versions: Mapping[str, Definition]) -> list[Clash]:
    """Every clash of the schema with every released version, both ways."""
    found: list[Clash] = []
    for version, definition in versions.items():
        for writer, reader, names in ((definition, now, (version, "now")), (now, definition, ("now", version))):
            found += [dataclasses.replace(clash, writer=names[0], reader=names[1]) for clash in clashes(writer, reader)]
    return found


def released_versions(name: str) -> dict[str, Definition]:
    """{version: schema} of schemas/released/<name>/, in order. Raises FileNotFoundError where there is none."""
    folder = files("schemas").joinpath("released", name)
    found = {entry.name.removesuffix(".avsc"): entry for entry in folder.iterdir() if entry.name.endswith(".avsc")}
    return {version: json.loads(found[version].read_text("utf-8")) for version in sorted(found, key=int)}
