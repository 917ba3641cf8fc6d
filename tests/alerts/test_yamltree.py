"""YAML to a tree with places."""

from __future__ import annotations

from alerts.problem import Mark, Sheet
from alerts.yamltree import Fields, Items, Scalar, documents


def test_every_value_knows_its_place() -> None:
    (document,) = documents("a:\n  - 1\n  - 'two'\n", Sheet("x"))
    assert isinstance(document, Fields)
    items = document.get("a")
    assert isinstance(items, Items)
    assert [(value.text, value.plain, value.mark) for value in items.values if isinstance(value, Scalar)] == [
        ("1", True, Mark(2, 5)),
        ("two", False, Mark(3, 5)),
    ]


def test_an_alias_stands_for_what_it_names() -> None:
    (document,) = documents("a: &x {k: v}\nb: *x\n", Sheet("x"))
    assert isinstance(document, Fields)
    assert document.get("a") is document.get("b")


def test_empty_documents_are_left_out_and_null_is_empty_unless_quoted() -> None:
    assert documents("---\n---\n", Sheet("x")) == []
    (document,) = documents("a: ~\nb: '~'", Sheet("x"))
    assert isinstance(document, Fields)
    assert [value.empty for _, value in document.entries if isinstance(value, Scalar)] == [True, False]


def test_tags_make_nothing() -> None:
    (document,) = documents("a: !!python/object/apply:os.system ['true']", Sheet("x"))
    assert isinstance(document, Fields)
    assert isinstance(document.get("a"), Items)
