"""Fields: one channel's fields of the channels file, typed; whatever is wrong is noted at its place.

What: texts, durations, numbers, addresses, and secrets by the names of the variables that hold them. Why one reader: all
kinds of channels complain in the same words. It refuses to show a secret, and to guess at a value that is wrong.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping

from sinks import limits
from sinks.yamlplace import Listed, Sheet, Text, Tree

#: Stands for a secret while a file is checked without the environment.
UNKNOWN = "?" * limits.PAGERDUTY_ROUTING_KEY_CHARS
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,7})(ms|s|m|h|d)")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


class Reader:
    """One channel's fields, typed; whatever is wrong goes to the sheet."""

    def __init__(
        self, sheet: Sheet, fields: Mapping[str, Tree], at: Tree, environment: Mapping[str, str] | None
    ) -> None:
        self.sheet, self.fields, self.at, self._environment = sheet, fields, at, environment

    def text(self, name: str, otherwise: str = "") -> str:
        """A text that may be absent."""
        found = self.fields.get(name)
        if found is None:
            return otherwise
        if isinstance(found, Text) and found.value:
            return found.value
        self.sheet.wrong(found, f"{name} has to be text")
        return otherwise

    def duration_ms(self, name: str, otherwise: int, least: int, most: int) -> int:
        """A duration between bounds, in ms."""
        found = self.fields.get(name)
        if found is None:
            return otherwise
        match = _DURATION.fullmatch(found.value) if isinstance(found, Text) else None
        value = int(match[1]) * _UNITS_MS[match[2]] if match else -1
        if not least <= value <= most:
            self.sheet.wrong(found, f"{name} has to be a duration from {least} ms to {most} ms", "write it as in 30s")
            return otherwise
        return value

    def whole(self, name: str, otherwise: int, least: int, most: int) -> int:
        """A whole number between bounds."""
        found = self.fields.get(name)
        if found is None:
            return otherwise
        digits = isinstance(found, Text) and found.value.isascii() and found.value.isdigit() and len(found.value) < 10
        value = int(found.value) if isinstance(found, Text) and digits else -1
        if not least <= value <= most:
            self.sheet.wrong(found, f"{name} has to be a whole number from {least} to {most}")
            return otherwise
        return value

    def secret(self, name: str, needed: str = "") -> str:
        """The value of the environment variable that a field names. `needed`: why it may not be absent."""
        found = self.fields.get(name)
        if found is None:
            if needed:
                self.sheet.wrong(self.at, f"{name} is missing", needed)
            return UNKNOWN if needed else ""
        if not isinstance(found, Text) or not _VARIABLE.fullmatch(found.value):
            hint = "upper case letters, digits and _; a secret itself does not belong into a file"
            self.sheet.wrong(found, f"{name} has to be the name of an environment variable", hint)
            return UNKNOWN
        if self._environment is None:
            return UNKNOWN
        value = self._environment.get(found.value, "").strip()
        if not value or not value.isprintable():
            what = "is not set" if not value else "holds characters that no secret has"
            self.sheet.wrong(
                found, f"environment variable {found.value} {what}", "channels take their secrets from there"
            )
            return UNKNOWN
        return value

    def texts(self, name: str, least: int, most: int) -> tuple[str, ...]:
        """A list of texts, each once; a single text is a list of one."""
        found = self.fields.get(name)
        items = found.items if isinstance(found, Listed) else (found,) if isinstance(found, Text) else ()
        if not all(isinstance(item, Text) and item.value for item in items) or not least <= len(items) <= most:
            what = f"{name} has to be a list of {least} to {most} texts" if found is not None else f"{name} is missing"
            self.sheet.wrong(found or self.at, what)
            return ()
        return tuple(dict.fromkeys(item.value for item in items if isinstance(item, Text)))

    def address(self, otherwise: str = "", schemes: tuple[str, str] = ("https", "http")) -> str:
        """`url`, or the variable that `url_env` names; something to go on with when it is wrong. `schemes`: those that are
        taken, the one that is safe by itself first."""
        if "url" in self.fields and "url_env" in self.fields:
            self.sheet.wrong(self.fields["url_env"], "both url and url_env are given", "keep one")
        named = "url_env" in self.fields
        value = self.secret("url_env") if named else self.text("url", otherwise)
        unknown = f"{schemes[0]}://unknown.invalid/"
        if value == UNKNOWN:
            return unknown
        at = self.fields.get("url_env" if named else "url", self.at)
        if not value:
            self.sheet.wrong(at, "there is neither url nor url_env", "say where to send")
        elif problem := _address_problem(value, *schemes):
            self.sheet.wrong(
                at, f"the address {'in ' + self.text('url_env') if named else ''} {problem}".replace("  ", " ")
            )
        elif not named and urllib.parse.urlsplit(value).password:
            self.sheet.wrong(at, "the address holds a password", "put it into a variable and name that in url_env")
        else:
            return value
        return unknown


def _address_problem(value: str, safe: str, local: str) -> str:
    try:
        parts = urllib.parse.urlsplit(value)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in (safe, local) or not parts.hostname:
        return f"is no {local} or {safe} address"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return "is plain http to another machine; use https"
    return ""
