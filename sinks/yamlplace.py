"""YAML with places: a file as a small tree that knows lines and columns, and the problems found in it.

What: `Sheet` gathers a file's problems, `tree` reads one document. Why: a mistake
without its place is a riddle. It refuses tags, aliases, several documents and files that are too large or too deep.
"""

from __future__ import annotations

import dataclasses

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from schemas.problem import Problem
from sinks import limits


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A scalar, as written."""

    value: str
    line: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """A sequence."""

    items: tuple[Tree, ...]
    line: int
    column: int


@dataclasses.dataclass(frozen=True, slots=True)
class Fields:
    """A mapping, in file order; repeated keys are kept."""

    entries: tuple[tuple[Text, Tree], ...]
    line: int
    column: int


Tree = Text | Listed | Fields


class Sheet:
    """The problems of one file, at most PROBLEMS_MAX."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Problem] = []

    def wrong(self, at: Tree | None, what: str, hint: str = "") -> None:
        """Note one; `at` None is the file's beginning."""
        if len(self._found) < limits.PROBLEMS_MAX:
            line, column = (at.line, at.column) if at is not None else (1, 1)
            self._found.append(Problem(self.file, line, column, what, hint))

    @property
    def problems(self) -> list[Problem]:
        """All, by place."""
        return sorted(self._found)


class _Refused(Exception):
    """The document holds something that is not taken."""

    def __init__(self, line: int, column: int, what: str) -> None:
        super().__init__(what)
        self.at, self.what = Text("", line, column), what


def tree(text: str, sheet: Sheet) -> Tree | None:
    """The one document of a file; None, and a problem on the sheet, when there is none to be had."""
    if len(text.encode("utf-8", "replace")) > limits.FILE_BYTES_MAX:
        sheet.wrong(None, f"the file is larger than {limits.FILE_BYTES_MAX:,} bytes")
        return None
    try:
        node = YAML(typ="safe", pure=True).compose(text)
        if node is None:
            sheet.wrong(None, "the file is empty")
            return None
        return _tree(node, 0, set())
    except _Refused as refused:
        sheet.wrong(refused.at, refused.what)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Text("", int(mark.line) + 1, int(mark.column) + 1) if mark else None
        sheet.wrong(at, f"not YAML: {error.problem or error.context or 'cannot be read'}")
    except (YAMLError, RecursionError, ValueError) as error:
        sheet.wrong(None, f"not YAML: {str(error).splitlines()[0] if str(error) else 'cannot be read'}")
    return None


def _tree(node: object, depth: int, seen: set[int]) -> Tree:
    assert isinstance(node, MappingNode | SequenceNode | ScalarNode)
    line, column = int(node.start_mark.line) + 1, int(node.start_mark.column) + 1
    if depth > limits.YAML_DEPTH_MAX:
        raise _Refused(line, column, f"nested deeper than {limits.YAML_DEPTH_MAX} levels")
    if id(node) in seen or node.anchor:
        raise _Refused(line, column, "anchors and aliases are not taken here")
    seen.add(id(node))
    if isinstance(node, ScalarNode):
        return Text(str(node.value), line, column)
    if isinstance(node, SequenceNode):
        return Listed(tuple(_tree(child, depth + 1, seen) for child in node.value), line, column)
    entries: list[tuple[Text, Tree]] = []
    for key, value in node.value:
        name = _tree(key, depth + 1, seen)
        if not isinstance(name, Text):
            raise _Refused(name.line, name.column, "a key has to be a word")
        entries.append((name, _tree(value, depth + 1, seen)))
    return Fields(tuple(entries), line, column)
