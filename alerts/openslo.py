"""OpenSLO v1 documents: heads, names and references.

What: turns YAML text into `Document`s and a `Catalog` in which other documents are looked up by kind and name.
Why: a reference may point into another file, so all heads are read before any body. It refuses other versions of
OpenSLO, and kinds that nothing here would obey. Format: https://github.com/OpenSLO/OpenSLO (v1).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from alerts.fields import name_of, section, text_map_of, text_of, text_or, word_of
from alerts.problem import Mark, Sheet
from alerts.yamltree import Fields, Node, Scalar, documents
from schemas.problem import did_you_mean

VERSION = "openslo/v1"
OBEYED = ("SLO", "SLI", "AlertPolicy", "AlertCondition")
TOLERATED = ("Service", "DataSource", "AlertNotificationTarget")  # read for their names, not acted on
ANNOTATION = "tocsin.dev/"  # prefix of our own annotations
ANNOTATIONS = ("group-by", "source-kind", "policy", "short-window", "runbook", "freshness")


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One OpenSLO object: its head, and its body still as a tree."""

    kind: str
    name: str
    title: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Node
    mark: Mark
    sheet: Sheet

    def own(self, annotation: str) -> str:
        """Our own annotation of that name; empty text when absent."""
        return self.annotations.get(ANNOTATION + annotation, "")


class Catalog:
    """All documents of a configuration by kind and name."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Document] = {}

    def add(self, document: Document) -> None:
        """Take a document in; a second one of the same kind and name is a problem."""
        first = self._found.setdefault((document.kind, document.name), document)
        if first is not document:
            place = f"{first.sheet.file}:{first.mark.line}"
            document.sheet.wrong(
                document.mark, f"{document.kind} {document.name!r} is defined twice", f"first: {place}"
            )

    def of_kind(self, kind: str) -> list[Document]:
        """Documents of a kind, by name."""
        return [self._found[key] for key in sorted(self._found) if key[0] == kind]

    def find(self, sheet: Sheet, kind: str, node: Node) -> Document | None:
        """The document that a reference names; a missing one is a problem at the reference."""
        name = text_of(sheet, node, f"a reference to {kind}")
        if name is None:
            return None
        if (kind, name) not in self._found:
            known = [document.name for document in self.of_kind(kind)]
            sheet.wrong(
                node.mark,
                f"there is no {kind} named {name[:80]!r}",
                did_you_mean(name, known) or f"add a document with kind: {kind}",
            )
            return None
        return self._found[(kind, name)]


def metadata(sheet: Sheet, node: Node, what: str) -> tuple[str, str, dict[str, str], dict[str, str]] | None:
    """(name, title, labels, annotations) of a metadata mapping."""
    found = section(sheet, node, f"metadata of {what}", ("name",), ("displayName", "labels", "annotations"))
    name = name_of(sheet, found.get("name"), "metadata.name") if found else None
    if found is None or name is None:
        return None
    title = text_or(sheet, found.get("displayName"), "displayName", name)
    annotations = text_map_of(sheet, found.get("annotations"), "annotations")
    written = found.get("annotations")
    for key, _ in written.entries if isinstance(written, Fields) else ():
        if key.text.startswith(ANNOTATION) and key.text.removeprefix(ANNOTATION) not in ANNOTATIONS:
            hint = did_you_mean(key.text, [ANNOTATION + known for known in ANNOTATIONS])
            sheet.wrong(key.mark, f"unknown annotation {key.text!r}", hint)
    return name, title, text_map_of(sheet, found.get("labels"), "labels"), annotations


def _head(sheet: Sheet, node: Node) -> Document | None:
    if not isinstance(node, Fields):
        sheet.wrong(node.mark, "an OpenSLO document has to be a mapping", "fields: apiVersion, kind, metadata, spec")
        return None
    version = node.get("apiVersion")
    if isinstance(version, Scalar) and version.text != VERSION:
        sheet.wrong(version.mark, f"apiVersion {version.text[:80]!r} is not read", f"write {VERSION}")
        return None
    found = section(sheet, node, "a document", ("apiVersion", "kind", "metadata", "spec"))
    if found is None or not {"kind", "metadata", "spec"} <= found.keys():
        return None
    kind = word_of(sheet, found["kind"], "kind", (*OBEYED, *TOLERATED))
    head = metadata(sheet, found["metadata"], kind or "a document")
    if kind is None or head is None:
        return None
    return Document(kind, *head, found["spec"], node.mark, sheet)


def read_documents(text: str, file: str) -> tuple[list[Document], Sheet]:
    """All OpenSLO documents of one file, and its sheet of problems."""
    sheet = Sheet(file)
    heads = [_head(sheet, node) for node in documents(text, sheet)]
    return [head for head in heads if head is not None], sheet


def inline(sheet: Sheet, node: Node, kind: str, otherwise: str) -> Document | None:
    """A document written in place of a reference; head fields are optional there."""
    found = section(sheet, node, f"an inline {kind}", ("spec",), ("apiVersion", "kind", "metadata"))
    if found is None or "spec" not in found:
        return None
    if "kind" in found and word_of(sheet, found["kind"], "kind", (kind,)) is None:
        return None
    head = metadata(sheet, found["metadata"], kind) if "metadata" in found else (otherwise, otherwise, {}, {})
    return None if head is None else Document(kind, *head, found["spec"], node.mark, sheet)


def referred(catalog: Catalog, sheet: Sheet, node: Node, kind: str, reference: str) -> Document | None:
    """A document given as a bare name, as `{reference: name}`, or inline."""
    if isinstance(node, Scalar):
        return catalog.find(sheet, kind, node)
    if isinstance(node, Fields) and (target := node.get(reference)) is not None:
        section(sheet, node, f"a reference to {kind}", (reference,))
        return catalog.find(sheet, kind, target)
    return inline(sheet, node, kind, "inline")
