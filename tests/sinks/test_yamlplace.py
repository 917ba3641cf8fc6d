"""YAML with places: shape, positions, refusals."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.problem import Problem, did_you_mean
from sinks.yamlplace import Fields, Listed, Sheet, Text, tree


def read(text: str) -> tuple[object, list[str]]:
    sheet = Sheet("x.yaml")
    return tree(text, sheet), [str(problem) for problem in sheet.problems]


def test_places_count_from_one() -> None:
    found, problems = read("a: b\nc:\n  - 'd'\n")
    expected = Fields(((Text("a", 1, 1), Text("b", 1, 4)), (Text("c", 2, 1), Listed((Text("d", 3, 5),), 3, 3))), 1, 1)
    assert (found, problems) == (expected, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x.yaml:1:1: the file is empty"),
        ("a: [", "x.yaml:1:5: not YAML: expected the node content, but found '<stream end>'"),
        ("a: &x b\nc: *x", "x.yaml:1:4: anchors and aliases are not taken here"),
        ("? [a]\n: b", "x.yaml:1:3: a key has to be a word"),
        ("[" * 22 + "]" * 22, "x.yaml:1:22: nested deeper than 20 levels"),
        ("[" * 1_200, "x.yaml:1:1: not YAML: maximum recursion depth exceeded"),
        ("#" * (1 << 20) + "#", "x.yaml:1:1: the file is larger than 1,048,576 bytes"),
        ("a: 1\n---\nb: 2", "x.yaml:2:1: not YAML: but found another document"),
        ("a: \x00", "x.yaml:1:1: not YAML: "),
    ],
)
def test_refusals(text: str, problem: str) -> None:
    found, problems = read(text)
    assert found is None
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@given(st.text(alphabet="abc:-[]{}#&*!|>'\" \n\t%@?,", max_size=60))
def test_any_text_has_an_answer(text: str) -> None:
    found, problems = read(text)
    assert (found is None) == bool(problems)


def test_problems_are_bounded_and_in_order() -> None:
    sheet = Sheet("x")
    for line in range(300, 0, -1):
        sheet.wrong(Text("", line, 1), "wrong", "mend it")
    assert len(sheet.problems) == 100
    assert sheet.problems == sorted(sheet.problems)
    assert str(Problem("x", 1, 2, "wrong", "mend it")) == "x:1:2: wrong (mend it)"


def test_hints() -> None:
    assert did_you_mean("urll", ["url", "name"]) == "did you mean 'url'?"
    assert did_you_mean("zzz", ["url", "name"]) == "known: name, url"
    assert did_you_mean("zzz", []) == ""
