"""Names: what a metric, a unit, a label and a source may be called, and the identity that they form together.

What: checks with a message that says what was wrong, and `Definition`, a series' identity. Why: a bad name found at
bind time costs one exception in a developer's hands; found by the platform it costs whole batches. It refuses to
repair names.
"""

from __future__ import annotations

from collections.abc import Mapping

from tocsin import limits
from tocsin.errors import InvalidLabel, InvalidName, InvalidSource

TYPE_CHECKING = False  # the name is what type checkers know; importing typing would cost half of the start
if TYPE_CHECKING:
    from typing import Any

KINDS = ("counter", "gauge", "histogram", "outcome")
SOURCE_KINDS = ("web", "desktop", "vehicle", "other")
RESERVED_PREFIX = "tocsin_"
OVERFLOW_LABELS = (("tocsin_overflow", "true"),)

_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_LABEL = _FIRST | frozenset("0123456789.-")
_METRIC = _LABEL | frozenset(":/")

#: kind, metric, unit, labels sorted by key
Definition = tuple[str, str, str, tuple[tuple[str, str], ...]]


def encodable(text: str) -> bool:
    """Whether the text has a UTF-8 form (a lone surrogate has none)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _made_of(text: str, allowed: frozenset[str]) -> bool:
    return text[:1] in _FIRST and allowed.issuperset(text)


def metric(name: object) -> str:
    """The name itself, if it may be a metric's. Raises InvalidName."""
    if not isinstance(name, str) or not _made_of(name, _METRIC):
        raise InvalidName(f"{name!r}; a metric is letters, digits and _ . : / -, and begins with a letter or _")
    if len(name) > limits.METRIC_CHARS:
        raise InvalidName(f"{name[:40]!r}… has {len(name)} characters, {limits.METRIC_CHARS} are allowed")
    return name


def unit(name: object) -> str:
    """The unit itself, if it is one (UCUM spelling is usual, `1` for a bare count). Raises InvalidName."""
    if not isinstance(name, str) or not name or len(name) > limits.UNIT_CHARS or not encodable(name):
        raise InvalidName(f"unit {name!r}; a unit is 1 to {limits.UNIT_CHARS} characters of text")
    return name


def labels(given: Mapping[Any, object], reserved: int = 0) -> tuple[tuple[str, str], ...]:
    """Checked labels, sorted by key. Integers become decimal text. `reserved`: places taken by the resource.

    Raises InvalidLabel.
    """
    if len(given) + reserved > limits.LABELS:
        raise InvalidLabel(f"{len(given)} labels and {reserved} of the resource; {limits.LABELS} are allowed together")
    checked: list[tuple[str, str]] = []
    for key, value in given.items():
        if not isinstance(key, str) or not _made_of(key, _LABEL) or len(key) > limits.LABEL_KEY_CHARS:
            raise InvalidLabel(
                f"key {key!r}; a key is up to {limits.LABEL_KEY_CHARS} letters, digits and _ . -, "
                "and begins with a letter or _"
            )
        if key.startswith(RESERVED_PREFIX):
            raise InvalidLabel(f"key {key!r}; keys that begin with {RESERVED_PREFIX!r} belong to the platform")
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            raise InvalidLabel(f"{key}={value!r}; a value is text or an integer")
        text = str(value)
        if len(text) > limits.LABEL_VALUE_CHARS or not encodable(text):
            raise InvalidLabel(f"{key}={text[:40]!r}; a value is up to {limits.LABEL_VALUE_CHARS} characters of UTF-8")
        checked.append((key, text))
    return tuple(sorted(checked))


def attribute(key: str, value: object) -> str:
    """A resource attribute's value, if acceptable. Raises InvalidSource."""
    if not isinstance(value, str) or len(value) > limits.LABEL_VALUE_CHARS or not encodable(value):
        raise InvalidSource(f"{key}={value!r}; text of up to {limits.LABEL_VALUE_CHARS} characters is expected")
    return value


def source(name: object) -> str:
    """The source id itself, if acceptable. Raises InvalidSource."""
    if not isinstance(name, str) or not name or len(name) > limits.SOURCE_CHARS or not encodable(name):
        raise InvalidSource(f"{name!r}; a source id is 1 to {limits.SOURCE_CHARS} characters of text")
    return name


def source_kind(kind: str) -> str:
    """The kind of source itself, if it is one. Raises InvalidSource."""
    if kind not in SOURCE_KINDS:
        raise InvalidSource(f"kind {kind!r}; it is one of {', '.join(SOURCE_KINDS)}")
    return kind
