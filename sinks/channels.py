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

Which kinds there are, and the fields of each, is in `kinds`.

What: text and environment to sinks and policies, or to every problem at once, with its place. Why: a file that can be
committed and reviewed. It refuses secrets in the file, plain HTTP to other machines, and half a configuration.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path

from schemas.problem import Problem, did_you_mean
from sinks import limits
from sinks.fields import Reader
from sinks.kinds import KINDS
from sinks.lane import Policy
from sinks.port import Destination
from sinks.yamlplace import Fields, Listed, Sheet, Text, Tree, tree

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One channel: what it is, how it is used, and the sink behind it."""

    name: str
    kind: str
    policy: Policy
    sink: Destination


@dataclasses.dataclass(frozen=True, slots=True)
class Channels:
    """All channels of a file, by name."""

    by_name: Mapping[str, Channel]

    @property
    def sinks(self) -> dict[str, Destination]:
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
    every = tuple(dict.fromkeys(field for known in KINDS.values() for field in known.fields))
    what = f"a {kind} channel" if kind in KINDS else "a channel"
    fields = _section(sheet, item, what, KINDS[kind].fields if kind in KINDS else every)
    read = Reader(sheet, fields, item, environment)
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
        per_minute=read.whole("per_minute", KINDS[kind].per_minute, 0, 10_000),
        timeout_ms=read.duration_ms("timeout", 10_000, 100, 120_000),
        fallback=read.text("fallback"),
        fallback_after_ms=read.duration_ms("fallback_after", 30_000, 1_000, 86_400_000),
        give_up_after_ms=read.duration_ms("give_up_after", 86_400_000, 60_000, 30 * 86_400_000),
    )
    places.setdefault(name, fields.get("fallback", item))
    found.setdefault(name, Channel(name, kind, policy, KINDS[kind].make(read, name)))


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
