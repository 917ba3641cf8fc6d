"""Laws of the loader: whatever the text, the answer is a configuration or problems with a place."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from alerts.config import load
from alerts.route import parse_routes
from tests.alerts.simulate import slo_text

GOOD = slo_text()
PIECES = st.sampled_from(
    ["{", "}", "[", "]", "&a", "*a", ": ", "- ", "\n", "'", "!!python/object:os.system", "0.5", "?", "\t", "|", "%"]
)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(GOOD)), st.integers(0, 30), st.one_of(PIECES, st.text(max_size=20)))
def test_a_damaged_file_gives_problems_or_a_configuration_and_never_raises(at: int, cut: int, put: str) -> None:
    config, problems = load({"x.yaml": GOOD[:at] + put + GOOD[at + cut :]})
    assert (config is None) == bool(problems)
    assert all(problem.line >= 1 and problem.column >= 1 and problem.what for problem in problems)


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join)))
@example("\x00")
@example("a: !!python/object/apply:os.system ['true']")
@example("? [a, b]\n: c")
@example("--- {}\n...\n--- []")
def test_any_text_is_answered(text: str) -> None:
    assert load({"x.yaml": text})[1]
    assert parse_routes(text, "x.yaml")[1]
