"""Channels: who can be told, read from a YAML file; secrets come from environment variables that the file names.

    channels:
      - name: pagerduty
        kind: pagerduty
        routing_key_env: PAGERDUTY_ROUTING_KEY
        fallback: team
        fallback_after: 30s
      - name: team
        kind: webhook
        url_env: TEAM_WEBHOOK_URL       # an address is often a secret; `url:` where it is none
        bearer_env: TEAM_WEBHOOK_TOKEN  # optional

Further fields: url, url_env, timeout, give_up_after, in_flight, per_minute, link (an address for people).

What: text and environment to sinks and policies, or to every problem at once, with its place. Why: a file that can be
committed and reviewed. It refuses secrets in the file, plain HTTP to other machines, and half a configuration.
"""

from __future__ import annotations

import dataclasses
import re
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

from schemas.problem import Problem, did_you_mean
from sinks import limits
from sinks.lane import Policy
from sinks.pagerduty import ENQUEUE, PagerDuty
from sinks.port import Sink
from sinks.webhook import Webhook
from sinks.yamlplace import Fields, Listed, Sheet, Text, Tree, tree

COMMON = (
    "name",
    "kind",
    "url",
    "url_env",
    "fallback",
    "fallback_after",
    "timeout",
    "give_up_after",
    "in_flight",
    "per_minute",
    "link",
)
KINDS: Mapping[str, tuple[str, ...]] = {
    "pagerduty": (*COMMON, "routing_key_env"),
    "webhook": (*COMMON, "bearer_env"),
}
#: Stands for a secret while a file is checked without the environment.
UNKNOWN = "?" * limits.PAGERDUTY_ROUTING_KEY_CHARS
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

_UNITS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([0-9]{1,7})(ms|s|m|h|d)")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One channel: what it is, how it is used, and the sink behind it."""

    name: str
    kind: str
    policy: Policy
    sink: Sink


@dataclasses.dataclass(frozen=True, slots=True)
class Channels:
    """All channels of a file, by name."""

    by_name: Mapping[str, Channel]

    @property
    def sinks(self) -> dict[str, Sink]:
        """For `Delivery`."""
        return {name: channel.sink for name, channel in self.by_name.items()}

    def policies(self, shared_by: int = 1) -> dict[str, Policy]:
        """For an `Outbox`, one of `shared_by` that use these channels at the same time."""
        return {name: channel.policy.shared(shared_by) for name, channel in self.by_name.items()}


class BadChannels(ValueError):
    """The channels file has problems; each is named with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class _Reader:
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

    def address(self, otherwise: str = "") -> str:
        """`url`, or the variable that `url_env` names."""
        if "url" in self.fields and "url_env" in self.fields:
            self.sheet.wrong(self.fields["url_env"], "both url and url_env are given", "keep one")
        named = "url_env" in self.fields
        value = self.secret("url_env") if named else self.text("url", otherwise)
        if value == UNKNOWN:
            return "https://unknown.invalid/"
        at = self.fields.get("url_env" if named else "url", self.at)
        if not value:
            self.sheet.wrong(at, "there is neither url nor url_env", "say where to send")
        elif problem := _address_problem(value):
            self.sheet.wrong(
                at, f"the address {'in ' + self.text('url_env') if named else ''} {problem}".replace("  ", " ")
            )
        elif not named and urllib.parse.urlsplit(value).password:
            self.sheet.wrong(at, "the address holds a password", "put it into a variable and name that in url_env")
        return value


def _address_problem(value: str) -> str:
    try:
        parts = urllib.parse.urlsplit(value)
        _ = parts.port
    except ValueError:
        return "cannot be read"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "is no http or https address"
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return "is plain http to another machine; use https"
    return ""


def _pagerduty(read: _Reader, name: str) -> Sink:
    key = read.secret("routing_key_env", "name the variable that holds the integration's routing key")
    if len(key) != limits.PAGERDUTY_ROUTING_KEY_CHARS:
        what = f"{read.text('routing_key_env')} does not hold {limits.PAGERDUTY_ROUTING_KEY_CHARS} characters"
        read.sheet.wrong(read.fields["routing_key_env"], what, "an Events API v2 routing key has that many")
    return PagerDuty(key, read.address(ENQUEUE), read.text("link"))


def _webhook(read: _Reader, name: str) -> Sink:
    return Webhook(name, read.address(), read.secret("bearer_env"), read.text("link"))


_MAKERS: Mapping[str, Callable[[_Reader, str], Sink]] = {"pagerduty": _pagerduty, "webhook": _webhook}
_PER_MINUTE = {"pagerduty": limits.PAGERDUTY_PER_MINUTE, "webhook": 0}


def parse_channels(
    text: str, file: str, environment: Mapping[str, str] | None
) -> tuple[Channels | None, list[Problem]]:
    """Channels from YAML text, or all problems. `environment` None: the file alone is checked, no variable is read."""
    sheet = Sheet(file)
    root = tree(text, sheet)
    if root is None:
        return None, sheet.problems
    top = _section(sheet, root, "the channels file", ("channels",))
    listed = top.get("channels")
    found: dict[str, Channel] = {}
    places: dict[str, Tree] = {}
    if not isinstance(listed, Listed) or not listed.items:
        sheet.wrong(listed or root, "channels has to be a list with at least one channel")
    else:
        if len(listed.items) > limits.CHANNELS_MAX:
            sheet.wrong(listed, f"{len(listed.items)} channels are more than {limits.CHANNELS_MAX}")
        for item in listed.items[: limits.CHANNELS_MAX]:
            _channel(sheet, item, environment, found, places)
    _check_fallbacks(sheet, found, places)
    if sheet.problems:
        return None, sheet.problems
    return Channels(found), []


def _section(sheet: Sheet, node: Tree, what: str, known: tuple[str, ...]) -> dict[str, Tree]:
    if not isinstance(node, Fields):
        sheet.wrong(node, f"{what} has to be a mapping", f"fields: {', '.join(known)}")
        return {}
    found: dict[str, Tree] = {}
    for key, value in node.entries:
        if key.value in found:
            sheet.wrong(key, f"field {key.value!r} is written twice")
        elif key.value in known:
            found[key.value] = value
        elif f"{key.value}_env" in known:
            sheet.wrong(
                key, f"a secret does not belong into a file: {key.value}", f"name a variable in {key.value}_env"
            )
        else:
            sheet.wrong(key, f"unknown field {key.value[:80]!r} in {what}", did_you_mean(key.value, known))
    return found


def _channel(
    sheet: Sheet, item: Tree, environment: Mapping[str, str] | None, found: dict[str, Channel], places: dict[str, Tree]
) -> None:
    kind_node = next((v for k, v in item.entries if k.value == "kind"), None) if isinstance(item, Fields) else None
    kind = kind_node.value if isinstance(kind_node, Text) else ""
    if isinstance(item, Fields) and kind not in KINDS:
        what = f"there is no kind of channel {kind[:80]!r}" if kind else "kind is missing"
        sheet.wrong(kind_node or item, what, did_you_mean(kind, KINDS))
    every = tuple(dict.fromkeys(field for fields in KINDS.values() for field in fields))
    fields = _section(sheet, item, f"a {kind} channel" if kind in KINDS else "a channel", KINDS.get(kind, every))
    read = _Reader(sheet, fields, item, environment)
    name = read.text("name")
    if fields and (not _NAME.fullmatch(name) or len(name) > limits.NAME_CHARS_MAX):
        hint = f"lower case letters, digits, '-' and '.', at most {limits.NAME_CHARS_MAX}"
        sheet.wrong(
            fields.get("name", item), f"{name[:80]!r} is no name for a channel" if name else "name is missing", hint
        )
    if name in found:
        sheet.wrong(fields["name"], f"channel {name!r} is defined twice")
    if kind not in KINDS:
        return
    policy = Policy(
        in_flight=read.whole("in_flight", 4, 1, 64),
        per_minute=read.whole("per_minute", _PER_MINUTE[kind], 0, 10_000),
        timeout_ms=read.duration_ms("timeout", 10_000, 100, 120_000),
        fallback=read.text("fallback"),
        fallback_after_ms=read.duration_ms("fallback_after", 30_000, 1_000, 86_400_000),
        give_up_after_ms=read.duration_ms("give_up_after", 86_400_000, 60_000, 30 * 86_400_000),
    )
    places.setdefault(name, fields.get("fallback", item))
    found.setdefault(name, Channel(name, kind, policy, _MAKERS[kind](read, name)))


def _check_fallbacks(sheet: Sheet, found: Mapping[str, Channel], places: Mapping[str, Tree]) -> None:
    for name, channel in found.items():
        fallback = channel.policy.fallback
        if fallback and fallback not in found:
            sheet.wrong(
                places[name], f"there is no channel {fallback[:80]!r} to fall back to", did_you_mean(fallback, found)
            )
        path = [name]
        while fallback in found and fallback not in path:
            path.append(fallback)
            fallback = found[fallback].policy.fallback
        if fallback == name:
            sheet.wrong(places[name], f"fallbacks go round in a circle: {' -> '.join([*path, name])}")


def read_channels(path: Path, environment: Mapping[str, str] | None) -> Channels:
    """The channels of a file. Raises BadChannels with all problems; OSError when the file cannot be read."""
    with path.open("rb") as stream:
        text = stream.read(limits.FILE_BYTES_MAX + 1).decode("utf-8", "replace")
    channels, problems = parse_channels(text, str(path), environment)
    if channels is None:
        raise BadChannels(problems)
    return channels
