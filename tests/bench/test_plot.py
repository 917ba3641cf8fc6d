"""Bars: well-formed, to scale, and honest about the scale.

What: small pictures. Why: a bar that is longer than its value is a lie that nobody reads. It refuses to judge beauty.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from bench.plot import Bar, Scale, bars, written


def widths(picture: str) -> list[float]:
    return [float(found) for found in re.findall(r'<rect [^>]* width="([\d.]+)"', picture)]


def test_bars_are_to_scale_from_zero():
    picture = bars("a < b", "events/s", [Bar("ours", 30.0, 20.0, 40.0, ours=True), Bar("theirs", 15.0, 15.0, 15.0)])
    assert ET.fromstring(picture).tag.endswith("svg")
    longer, shorter = widths(picture)
    assert longer == pytest.approx(2 * shorter, abs=0.2)
    assert "scale from zero" in picture


def test_a_wide_spread_is_logarithmic_and_says_so():
    picture = bars("t", "s", [Bar("a", 1.0, 1.0, 1.0), Bar("b", 10.0, 10.0, 10.0), Bar("c", 100.0, 100.0, 100.0)])
    first, second, third = widths(picture)
    assert second - first == pytest.approx(third - second, abs=0.3)
    assert first > 0
    assert "logarithmic scale" in picture


def test_nothing_below_zero_is_drawn():
    with pytest.raises(ValueError, match="above zero"):
        Scale.of([Bar("a", 0.0, 0.0, 1.0)])


def test_values_are_written_for_people():
    assert [written(each) for each in (1_234_567.8, 123.4, 12.345, 0.5)] == ["1,234,568", "123", "12.3", "0.5"]
