"""Reading typed fields out of a YAML tree.

What: each function answers with the value, or notes a problem on the sheet and answers None. Why: reading goes
on after a mistake, so that all mistakes of a file are found at once. It refuses to raise and to fill in defaults.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation

from alerts import limits
from alerts.problem import Sheet
from alerts.yamltree import Fields, Items, Node, Scalar
from schemas.problem import did_you_mean

UNITS_MS: Mapping[str, int] = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"([0-9]{1,6})([A-Za-z]+)")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_TRUE, _FALSE = frozenset({"true", "True", "TRUE"}), frozenset({"false", "False", "FALSE"})


def section(
    sheet: Sheet, node: Node, what: str, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Node] | None:
    """The entries of a mapping by key. Unknown, repeated and missing fields are problems."""
    if not isinstance(node, Fields):
        sheet.wrong(node.mark, f"{what} has to be a mapping", f"fields: {', '.join([*required, *optional])}")
        return None
    found: dict[str, Node] = {}
    for key, value in node.entries:
        if key.text in found:
            sheet.wrong(key.mark, f"field {key.text!r} of {what} is written twice", "only the first is read")
        elif key.text not in required and key.text not in optional:
            sheet.wrong(
                key.mark, f"unknown field {key.text!r} in {what}", did_you_mean(key.text, [*required, *optional])
            )
        elif not (isinstance(value, Scalar) and value.empty):
            found[key.text] = value
    for name in required:
        if name not in found:
            sheet.wrong(node.mark, f"{what} lacks the field {name!r}", f"fields: {', '.join([*required, *optional])}")
    return found


def text_of(sheet: Sheet, node: Node | None, what: str) -> str | None:
    """A bounded, non-empty text."""
    if node is None:
        return None
    if not isinstance(node, Scalar) or node.empty:
        sheet.wrong(node.mark, f"{what} has to be text")
        return None
    if len(node.text) > limits.TEXT_CHARS_MAX:
        sheet.wrong(node.mark, f"{what} is longer than {limits.TEXT_CHARS_MAX:,} characters")
        return None
    return node.text


def text_or(sheet: Sheet, node: Node | None, what: str, otherwise: str) -> str:
    """The text of a field that may be absent."""
    text = text_of(sheet, node, what)
    return otherwise if text is None else text


def name_of(sheet: Sheet, node: Node | None, what: str) -> str | None:
    """A name as OpenSLO has it: lower case letters, digits, `-` and `.`, at most 63 characters."""
    text = text_of(sheet, node, what)
    if text is None or node is None:
        return None
    if len(text) > limits.NAME_CHARS_MAX or not _NAME.fullmatch(text):
        hint = f"lower case letters, digits, '-' and '.', at most {limits.NAME_CHARS_MAX} characters"
        sheet.wrong(node.mark, f"{what} {text[:80]!r} is no valid name", hint)
        return None
    return text


def word_of(sheet: Sheet, node: Node | None, what: str, known: Collection[str]) -> str | None:
    """One of the known words."""
    text = text_of(sheet, node, what)
    if text is None or node is None or text in known:
        return text
    sheet.wrong(node.mark, f"{what} {text[:80]!r} is not known", did_you_mean(text, known))
    return None


def number_of(sheet: Sheet, node: Node | None, what: str) -> Decimal | None:
    """A finite number, exact as written."""
    if node is None:
        return None
    if isinstance(node, Scalar) and len(node.text) <= 64:
        try:
            value = Decimal(node.text)
        except InvalidOperation:
            value = Decimal("NaN")
        if value.is_finite() and abs(value.adjusted()) < 40:
            return value
    sheet.wrong(node.mark, f"{what} has to be a number", "write digits, as in 0.999")
    return None


def flag_of(sheet: Sheet, node: Node | None, what: str) -> bool | None:
    """Whether true or false is written."""
    if node is None:
        return None
    if isinstance(node, Scalar) and node.text in _TRUE | _FALSE:
        return node.text in _TRUE
    sheet.wrong(node.mark, f"{what} has to be true or false")
    return None


def duration_of(sheet: Sheet, node: Node | None, what: str) -> int | None:
    """A duration in ms, written as a whole number and one of s, m, h, d, w."""
    text = text_of(sheet, node, what)
    if text is None or node is None:
        return None
    match = _DURATION.fullmatch(text)
    if match and match[2] in UNITS_MS:
        return int(match[1]) * UNITS_MS[match[2]]
    hint = "write a whole number and one of s, m, h, d, w, as in 30d"
    if match and match[2] in ("M", "Q", "Y"):
        hint = "months, quarters and years are calendar windows; only rolling windows are evaluated: use d or w"
    sheet.wrong(node.mark, f"{what} {text[:40]!r} is no duration", hint)
    return None


def items_of(sheet: Sheet, node: Node | None, what: str, most: int) -> tuple[Node, ...]:
    """The items of a bounded sequence; empty when there is none."""
    if node is None:
        return ()
    if not isinstance(node, Items):
        sheet.wrong(node.mark, f"{what} has to be a list")
        return ()
    if len(node.values) > most:
        sheet.wrong(node.mark, f"{what} has {len(node.values)} entries, more than {most}")
        return node.values[:most]
    return node.values


def texts_of(sheet: Sheet, node: Node | None, what: str, most: int) -> tuple[str, ...]:
    """A bounded list of texts; a text with commas is taken as a list too."""
    if isinstance(node, Scalar) and not node.empty:
        parts = tuple(part.strip() for part in node.text.split(",") if part.strip())
        if len(parts) > most:
            sheet.wrong(node.mark, f"{what} has {len(parts)} entries, more than {most}")
        return parts[:most]
    texts = [text_of(sheet, item, f"each of {what}") for item in items_of(sheet, node, what, most)]
    return tuple(text for text in texts if text is not None)


def text_map_of(sheet: Sheet, node: Node | None, what: str) -> dict[str, str]:
    """A mapping of texts; a list of texts as a value is joined by commas (OpenSLO labels may be lists)."""
    if node is None:
        return {}
    if not isinstance(node, Fields):
        sheet.wrong(node.mark, f"{what} has to be a mapping", "write name: text, one a line")
        return {}
    found: dict[str, str] = {}
    for key, value in node.entries:
        if key.text in found:
            sheet.wrong(key.mark, f"field {key.text!r} of {what} is written twice", "only the first is read")
        elif isinstance(value, Items):
            found[key.text] = ",".join(texts_of(sheet, value, f"{what} {key.text!r}", limits.MATCHERS_MAX))
        elif (text := text_of(sheet, value, f"{what} {key.text!r}")) is not None:
            found[key.text] = text
    return found
