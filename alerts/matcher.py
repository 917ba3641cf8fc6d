"""Label matchers: one grammar for SLIs and routes.

What: `label = value`, `!=`, `=~`, `!~`; a label that is absent counts as empty text; patterns match the whole
value. Why: one grammar is learned once. It refuses patterns that can take exponential time on a hostile value.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

from alerts import limits
from alerts.problem import Mark, Sheet
from alerts.yamltree import Fields, Items, Node, Scalar

_TERM = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUANTIFIED = re.compile(r"\([^()]*(?:[*+]|\{[0-9]+,\})[^()]*\)(?:[*+]|\{)|\([^()]*\|[^()]*\)(?:[*+]|\{[0-9]+,\})")
OPERATORS = ("=", "!=", "=~", "!~")


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """One condition on one label."""

    label: str
    operator: str  # one of OPERATORS
    value: str

    def __str__(self) -> str:
        return f"{self.label}{self.operator}{self.value}"

    def compiled(self) -> Callable[[str], bool]:
        """A test of the label's value."""
        value = self.value
        if self.operator == "=":
            return lambda found: found == value
        if self.operator == "!=":
            return lambda found: found != value
        pattern = re.compile(value)
        if self.operator == "=~":
            return lambda found: pattern.fullmatch(found) is not None
        return lambda found: pattern.fullmatch(found) is None


class Matchers:
    """All of several matchers, compiled; true when each holds."""

    def __init__(self, matchers: tuple[Matcher, ...]) -> None:
        self._tests = tuple((matcher.label, matcher.compiled()) for matcher in matchers)

    def __call__(self, labels: Mapping[str, str]) -> bool:
        """Whether each matcher holds for these labels."""
        return all(test(labels.get(label, "")) for label, test in self._tests)


def _checked(sheet: Sheet, mark: Mark, matcher: Matcher) -> Matcher | None:
    if matcher.operator in ("=", "!="):
        return matcher
    if len(matcher.value) > limits.REGEX_CHARS_MAX:
        sheet.wrong(
            mark,
            f"the pattern of {matcher.label!r} is longer than {limits.REGEX_CHARS_MAX} characters",
            "name several values as a|b|c, or give the series a label of its own",
        )
        return None
    try:
        re.compile(matcher.value)
    except (re.error, RecursionError, OverflowError) as error:
        sheet.wrong(
            mark,
            f"the pattern of {matcher.label!r} is no regular expression: {error}",
            "as in Python; escape what is meant as it is",
        )
        return None
    if _QUANTIFIED.search(matcher.value):
        sheet.wrong(mark, f"the pattern of {matcher.label!r} can take exponential time", "do not repeat a repetition")
        return None
    return matcher


def parse(sheet: Sheet, mark: Mark, text: str) -> Matcher | None:
    """One matcher from text such as `route=~"/cart.*"`; quotes round the value are optional."""
    match = _TERM.fullmatch(text)
    if match is None:
        sheet.wrong(
            mark, f"{text[:80]!r} is no matcher", "write label=value, label!=value, label=~pattern, label!~pattern"
        )
        return None
    value = match[3]
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        value = value[1:-1]
    return _checked(sheet, mark, Matcher(match[1], match[2], value))


def read(sheet: Sheet, node: Node | None, what: str) -> tuple[Matcher, ...]:
    """Matchers from a mapping (label: value, all `=`), a list of texts, or one text with commas; sorted."""
    found: list[Matcher | None] = []
    if node is None:
        return ()
    if isinstance(node, Fields):
        for key, value in node.entries:
            if isinstance(value, Scalar):
                found.append(Matcher(key.text, "=", "" if value.empty else value.text))
            else:
                sheet.wrong(
                    value.mark, f"{what}: the value of {key.text!r} has to be text", "patterns: use the list form"
                )
    elif isinstance(node, Scalar):
        found = [parse(sheet, node.mark, part) for part in node.text.split(",")]
    elif isinstance(node, Items):
        for item in node.values:
            if isinstance(item, Scalar):
                found.append(parse(sheet, item.mark, item.text))
            else:
                sheet.wrong(item.mark, f"{what}: a matcher has to be text, such as route=/cart")
    if len(found) > limits.MATCHERS_MAX:
        sheet.wrong(node.mark, f"{what} has {len(found)} matchers, more than {limits.MATCHERS_MAX}")
    return tuple(sorted({matcher for matcher in found[: limits.MATCHERS_MAX] if matcher is not None}))
