"""Pictures of the tables: mermaid and DOT, printed from the transition tables themselves.

What: two functions that draw. Why: a picture drawn by hand lies after the first change. It refuses to lay out;
that is what the two languages are for.
"""

from __future__ import annotations

from collections.abc import Iterable

from alerts.alert import TRANSITIONS, State

Edge = tuple[str, str, str, bool]  # from, to, label, recorded


def alert_edges() -> list[Edge]:
    """The edges of the alert table, in table order."""
    return [
        (state.word, arrow.to.word, trigger.name.lower(), arrow.recorded)
        for state, arrows in TRANSITIONS.items()
        for trigger, arrow in arrows.items()
    ]


def mermaid(edges: Iterable[Edge] | None = None, start: str = State.INACTIVE.word) -> str:
    """A mermaid state diagram; steps that are not recorded are marked by `(silent)`."""
    lines = ["stateDiagram-v2", f"    [*] --> {start}"]
    for origin, target, label, recorded in alert_edges() if edges is None else edges:
        lines.append(f"    {origin} --> {target}: {label}{'' if recorded else ' (silent)'}")
    return "\n".join(lines) + "\n"


def dot(edges: Iterable[Edge] | None = None, start: str = State.INACTIVE.word) -> str:
    """The same as a DOT graph; steps that are not recorded are dashed."""
    lines = ["digraph states {", "    rankdir=LR;", f'    start [shape=point]; start -> "{start}";']
    for origin, target, label, recorded in alert_edges() if edges is None else edges:
        style = "" if recorded else ", style=dashed"
        lines.append(f'    "{origin}" -> "{target}" [label="{label}"{style}];')
    return "\n".join([*lines, "}"]) + "\n"
