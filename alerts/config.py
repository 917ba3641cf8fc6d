"""Configuration: a set of OpenSLO files to one validated value.

What: `load` takes texts by file name and answers with a `Config` or with every problem of every file. Why: a
worker starts on a whole configuration or not at all, and each page names the hash of the one that decided. It
refuses half a configuration. Only `read_config` touches the disk.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from alerts import limits
from alerts.openslo import Catalog, read_documents
from alerts.openslo_slo import read_slo
from alerts.policy import shipped_policies
from alerts.problem import Mark, Sheet
from alerts.slo import Policy, Slo
from schemas.problem import Problem


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    """All SLOs, by name, and the hash (blake2b, 16 hex digits) of their canonical form."""

    slos: tuple[Slo, ...]
    hash: str

    @classmethod
    def of(cls, slos: Iterable[Slo]) -> Config:
        """A configuration of these SLOs; the order in which they come does not matter."""
        ordered = tuple(sorted(slos, key=lambda slo: slo.name))
        return cls(ordered, config_hash(ordered))

    def find(self, name: str) -> Slo | None:
        """The SLO of that name."""
        return next((slo for slo in self.slos if slo.name == name), None)


class BadConfig(ValueError):
    """The configuration has problems; each is named with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def config_hash(slos: tuple[Slo, ...]) -> str:
    """blake2b (8 bytes, hex) of the canonical JSON of the SLOs: equal values, equal hash, whatever the files."""
    content = [{"indicator_type": type(slo.indicator).__name__, **dataclasses.asdict(slo)} for slo in slos]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def load(texts: Mapping[str, str], policies: Mapping[str, Policy] | None = None) -> tuple[Config | None, list[Problem]]:
    """A configuration from YAML texts by file name. Either the config, or the problems of all files."""
    shipped = shipped_policies() if policies is None else policies
    catalog = Catalog()
    sheets: list[Sheet] = []
    for file in sorted(texts):
        found, sheet = read_documents(texts[file], file)
        sheets.append(sheet)
        for document in found:
            catalog.add(document)
    candidates = catalog.of_kind("SLO")
    slos = [read_slo(catalog, document, shipped) for document in candidates]
    if not candidates and not any(len(sheet) for sheet in sheets):
        nowhere = sheets[0] if sheets else Sheet("(no file)")
        nowhere.wrong(Mark(1, 1), "there is no SLO", "add a document with kind: SLO")
        sheets = sheets or [nowhere]
    if len(candidates) > limits.SLOS_MAX:
        candidates[0].sheet.wrong(candidates[0].mark, f"{len(candidates)} SLOs are more than {limits.SLOS_MAX}")
    problems = sorted({problem for sheet in sheets for problem in sheet.problems})
    if problems:
        return None, problems
    return Config.of(slo for slo in slos if slo is not None), []


def read_texts(path: Path) -> dict[str, str]:
    """The text of one file, or of each *.yaml and *.yml under a directory. Bytes that are not UTF-8 are replaced."""
    files = [path] if path.is_file() else sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")])
    texts: dict[str, str] = {}
    for file in files[: limits.FILES_MAX]:
        with file.open("rb") as stream:
            texts[str(file)] = stream.read(limits.FILE_BYTES_MAX + 1).decode("utf-8", "replace")
    return texts


def read_config(path: Path) -> Config:
    """The configuration at a path (file or directory). Raises BadConfig with all problems."""
    config, problems = load(read_texts(path))
    if config is None:
        raise BadConfig(problems)
    return config
