"""YAML text to a small typed tree that remembers places.

What: documents of `Scalar`, `Items` and `Fields`, each with its line and column. Why: a value without its place
cannot be complained about, and a tree of our own has no constructors that a hostile file could call. It refuses
to guess types: a scalar stays text until a field says what it is. Size, depth and the weight of aliases are bounded.
"""

from __future__ import annotations

import dataclasses
import io

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from alerts import limits
from alerts.problem import Mark, Sheet

NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclasses.dataclass(frozen=True, slots=True)
class Scalar:
    """One leaf, as text. `plain` says that it was not quoted, so that `~` may mean nothing."""

    text: str
    plain: bool
    mark: Mark

    @property
    def empty(self) -> bool:
        """Whether it is YAML's null."""
        return self.plain and self.text in NULLS


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """A sequence."""

    values: tuple[Node, ...]
    mark: Mark


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """A mapping, in file order; a repeated key is kept, for the reader to complain about."""

    entries: tuple[tuple[Scalar, Node], ...]
    mark: Mark

    def get(self, key: str) -> Node | None:
        """The value of the first entry with that key."""
        return next((value for name, value in self.entries if name.text == key), None)


Node = Scalar | Items | Fields


class _Refused(Exception):
    """The document passes a bound."""

    def __init__(self, mark: Mark, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.mark, self.what, self.hint = mark, what, hint


class _Builder:
    """Folds parser tokens to nodes. Weight of a node = number of nodes in it, aliases counted each time."""

    def __init__(self) -> None:
        self.documents: list[Node] = []
        self._open: list[tuple[str, Mark, list[Node], str | None]] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._weights: list[int] = []
        self._total = 0

    def _put(self, node: Node, weight: int, anchor: str | None, mark: Mark) -> None:
        if anchor:
            self._anchors[anchor] = (node, weight)
        self._total += weight if not self._weights else 0
        if self._weights:
            self._weights[-1] += weight
        if max(self._total, self._weights[-1] if self._weights else 0) > limits.YAML_NODES_MAX:
            raise _Refused(mark, f"the file holds more than {limits.YAML_NODES_MAX:,} values", "aliases count")
        if self._open:
            self._open[-1][2].append(node)
        else:
            self.documents.append(node)

    def start(self, shape: str, mark: Mark, anchor: str | None) -> None:
        if len(self._open) >= limits.YAML_DEPTH_MAX:
            raise _Refused(mark, f"nested deeper than {limits.YAML_DEPTH_MAX} levels", "OpenSLO needs seven")
        self._open.append((shape, mark, [], anchor))
        self._weights.append(1)

    def end(self) -> None:
        shape, mark, children, anchor = self._open.pop()
        weight = self._weights.pop()
        if shape == "items":
            self._put(Items(tuple(children), mark), weight, anchor, mark)
            return
        entries: list[tuple[Scalar, Node]] = []
        for key, value in zip(children[::2], children[1::2], strict=True):
            if not isinstance(key, Scalar):
                raise _Refused(key.mark, "a key has to be a plain word", "write name: value")
            entries.append((key, value))
        self._put(Fields(tuple(entries), mark), weight, anchor, mark)

    def scalar(self, text: str, plain: bool, mark: Mark, anchor: str | None) -> None:
        self._put(Scalar(text, plain, mark), 1, anchor, mark)

    def alias(self, name: str, mark: Mark) -> None:
        if name not in self._anchors:
            raise _Refused(mark, f"alias *{name} names an anchor that is not complete here", "write the value itself")
        node, weight = self._anchors[name]
        self._put(node, weight, None, mark)


def _feed(builder: _Builder, text: str) -> None:
    for token in YAML(typ="safe", pure=True).parse(io.StringIO(text)):
        kind = type(token).__name__
        mark = Mark(int(token.start_mark.line) + 1, int(token.start_mark.column) + 1)
        if kind == "ScalarEvent":
            builder.scalar(str(token.value), token.style is None, mark, token.anchor)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            builder.start("fields" if kind == "MappingStartEvent" else "items", mark, token.anchor)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            builder.end()
        elif kind == "AliasEvent":
            builder.alias(str(token.anchor), mark)


def documents(text: str, sheet: Sheet) -> list[Node]:
    """The documents of one YAML text. Whatever is wrong goes to `sheet`, and the answer is then empty."""
    if len(text.encode("utf-8", "replace")) > limits.FILE_BYTES_MAX:
        sheet.wrong(Mark(1, 1), f"the file is larger than {limits.FILE_BYTES_MAX:,} bytes", "cut it in several")
        return []
    builder = _Builder()
    try:
        _feed(builder, text)
    except _Refused as refused:
        sheet.wrong(refused.mark, refused.what, refused.hint)
        return []
    except MarkedYAMLError as error:
        place = error.problem_mark or error.context_mark
        mark = Mark(int(place.line) + 1, int(place.column) + 1) if place else Mark(1, 1)
        sheet.wrong(
            mark,
            f"not YAML: {error.problem or error.context or 'cannot be read'}",
            "look at indents, brackets and quotes here and above",
        )
        return []
    except (YAMLError, RecursionError, ValueError) as error:
        sheet.wrong(
            Mark(1, 1),
            f"not YAML: {str(error).splitlines()[0] if str(error) else 'cannot be read'}",
            "is it a text file in UTF-8?",
        )
        return []
    return [node for node in builder.documents if not (isinstance(node, Scalar) and node.empty)]
