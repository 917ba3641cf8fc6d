"""Plot: horizontal bars as SVG, small and the same bytes for the same figures.

What: one bar a row with its value written beside it and a whisker from the lowest to the highest run; a logarithmic
scale where the values differ by more than a factor of fifty, which the picture says. Readable on light and dark pages.
Why own: a plotting library is fifty megabytes and its bytes change with its version; these are forty lines. It refuses
values that are not above zero, and to start a linear scale anywhere else than at zero.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from html import escape

WIDTH, LABELS, VALUES = 760, 210, 130
ROW, BAR, TOP, BOTTOM = 30, 16, 44, 26
OURS, OTHERS, TEXT, FAINT = "#c8553d", "#7a8ca3", "#808890", "#a0a8b0"
LOGARITHMIC_FROM = 50.0


@dataclasses.dataclass(frozen=True)
class Bar:
    """One row. `ours`: drawn in our colour."""

    label: str
    value: float
    low: float
    high: float
    ours: bool = False


@dataclasses.dataclass(frozen=True)
class Scale:
    """Value to place, px."""

    first: float  # the value at the left edge
    last: float
    logarithmic: bool

    @classmethod
    def of(cls, bars: Sequence[Bar]) -> Scale:
        """A scale that has room for all of them. Raises ValueError."""
        least, most = min(bar.low for bar in bars), max(bar.high for bar in bars)
        if least <= 0:
            raise ValueError("a bar needs a value above zero")
        if most / least < LOGARITHMIC_FROM:
            return cls(0.0, most, logarithmic=False)
        return cls(10 ** math.floor(math.log10(least) - 0.3), most, logarithmic=True)

    def at(self, value: float) -> float:
        """How far from the left edge of the bars."""
        if self.logarithmic:
            share = math.log(value / self.first) / math.log(self.last / self.first)
        else:
            share = value / self.last
        return round(share * (WIDTH - LABELS - VALUES), 1)


def written(value: float) -> str:
    """As people read it: three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def bars(title: str, unit: str, rows: Sequence[Bar]) -> str:
    """An SVG picture."""
    scale = Scale.of(rows)
    height = TOP + ROW * len(rows) + BOTTOM
    kind = "logarithmic scale" if scale.logarithmic else "scale from zero"
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'role="img" font-family="system-ui, sans-serif" font-size="13">'
        ),
        f"<title>{escape(title)}</title>",
        f'<text x="0" y="20" font-size="15" font-weight="600" fill="{TEXT}">{escape(title)}</text>',
    ]
    for place, bar in enumerate(rows):
        middle = TOP + ROW * place + ROW // 2
        end, low, high = (LABELS + scale.at(value) for value in (bar.value, bar.low, bar.high))
        lines += [
            f'<text x="{LABELS - 10}" y="{middle + 4}" text-anchor="end" fill="{TEXT}">{escape(bar.label)}</text>',
            (
                f'<rect x="{LABELS}" y="{middle - BAR // 2}" width="{end - LABELS:.1f}" height="{BAR}" rx="2" '
                f'fill="{OURS if bar.ours else OTHERS}"/>'
            ),
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{TEXT}" stroke-width="2"/>',
            f'<text x="{max(end, high) + 8:.1f}" y="{middle + 4}" fill="{TEXT}">{written(bar.value)}</text>',
        ]
    foot = f"{unit}; bar: median, line: lowest to highest run; {kind}"
    lines += [f'<text x="{LABELS}" y="{height - 8}" font-size="11" fill="{FAINT}">{escape(foot)}</text>', "</svg>"]
    return "\n".join(lines) + "\n"
