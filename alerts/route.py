"""Routes: who is told about which alert, read from a YAML file.

    receivers:
      - {name: oncall, channels: [pagerduty]}
      - {name: team, channels: [webhook]}
    group_by: [slo]                  # labels that make one incident; slo, service, objective or any group label
    default: [team]                  # receivers of whatever no route matches
    routes:                          # the first that matches decides, unless it says `continue: true`
      - match: ["severity=page"]     # severity, slo, service, objective and the alert's own labels
        receivers: [oncall, team]

What: parsing with all mistakes named, and the choice of channels. Why: routing is minimal and explicit; nobody is
told by accident, and nothing is told to nobody. It refuses trees: a flat list reads top to bottom.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path

from alerts import limits
from alerts.config import BadConfig, read_texts
from alerts.fields import flag_of, items_of, name_of, section, texts_of
from alerts.matcher import Matcher, Matchers
from alerts.matcher import read as read_matchers
from alerts.problem import Mark, Sheet
from alerts.yamltree import Node, documents
from schemas.problem import Problem, did_you_mean


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """Receivers of the alerts that every matcher fits; `goes_on` lets later routes add theirs."""

    matchers: tuple[Matcher, ...]
    receivers: tuple[str, ...]
    goes_on: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Routes:
    """The routing of a configuration. `receivers`: channels by receiver name."""

    receivers: Mapping[str, tuple[str, ...]]
    default: tuple[str, ...]
    routes: tuple[Route, ...] = ()
    group_by: tuple[str, ...] = ("slo",)

    @classmethod
    def plain(cls, *channels: str) -> Routes:
        """Everything to these channels."""
        return cls({"all": channels}, ("all",))

    def channels(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        """Channels to tell, each once, in the order of the file. Never empty as long as a default has channels."""
        chosen: list[str] = []
        for route in self.routes:
            if Matchers(route.matchers)(labels):
                chosen += route.receivers
                if not route.goes_on:
                    break
        return tuple(dict.fromkeys(at for name in chosen or self.default for at in self.receivers[name]))


def _receivers(sheet: Sheet, node: Node | None, known: Collection[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for item in items_of(sheet, node, "receivers", limits.RECEIVERS_MAX):
        fields = section(sheet, item, "a receiver", ("name", "channels"))
        name = name_of(sheet, fields.get("name"), "the receiver's name") if fields else None
        if fields is None or name is None or "channels" not in fields:
            continue
        channels = texts_of(sheet, fields["channels"], "channels", limits.CHANNELS_MAX)
        for channel in channels:
            if known and channel not in known:
                sheet.wrong(fields["channels"].mark, f"there is no channel {channel!r}", did_you_mean(channel, known))
        if name in found:
            sheet.wrong(fields["name"].mark, f"receiver {name!r} is defined twice")
        elif not channels:
            sheet.wrong(fields["channels"].mark, f"receiver {name!r} has no channel")
        found.setdefault(name, channels)
    return found


def _named(sheet: Sheet, node: Node | None, what: str, known: Collection[str]) -> tuple[str, ...]:
    names = texts_of(sheet, node, what, limits.RECEIVERS_MAX) if node is not None else ()
    if node is not None and not names:
        sheet.wrong(node.mark, f"{what} names no receiver")
    for name in names:
        if node is not None and name not in known:
            sheet.wrong(node.mark, f"there is no receiver {name[:80]!r}", did_you_mean(name, known))
    return names


def _route(sheet: Sheet, node: Node, known: Collection[str]) -> Route:
    found = section(sheet, node, "a route", ("receivers",), ("match", "continue")) or {}
    matchers = read_matchers(sheet, found.get("match"), "match")
    goes_on = flag_of(sheet, found.get("continue"), "continue") or False
    return Route(matchers, _named(sheet, found.get("receivers"), "receivers", known), goes_on)


def parse_routes(text: str, file: str, channels: Collection[str] = ()) -> tuple[Routes | None, list[Problem]]:
    """Routes from YAML text; or all problems. `channels`: names that exist, empty to accept any."""
    sheet = Sheet(file)
    nodes = documents(text, sheet)
    if len(nodes) != 1 and not len(sheet):
        sheet.wrong(Mark(1, 1), "a routes file holds one document")
    if len(sheet):
        return None, sheet.problems
    found = section(sheet, nodes[0], "the routes file", ("receivers", "default"), ("routes", "group_by")) or {}
    receivers = _receivers(sheet, found.get("receivers"), channels)
    default = _named(sheet, found.get("default"), "default", receivers)
    routes = tuple(
        _route(sheet, node, receivers) for node in items_of(sheet, found.get("routes"), "routes", limits.ROUTES_MAX)
    )
    group_by = (
        texts_of(sheet, found.get("group_by"), "group_by", limits.GROUP_BY_MAX) if "group_by" in found else ("slo",)
    )
    if "severity" in group_by:
        sheet.wrong(found["group_by"].mark, "group_by cannot hold severity", "it changes while an incident lives")
    if len(sheet):
        return None, sheet.problems
    return Routes(receivers, default, routes, group_by), []


def read_routes(path: Path, channels: Collection[str] = ()) -> Routes:
    """The routes at a path. Raises BadConfig with all problems."""
    (file, text), *_ = read_texts(path).items()
    routes, problems = parse_routes(text, file, channels)
    if routes is None:
        raise BadConfig(problems)
    return routes
