"""Errors name the thing, print the mend, and carry a stable code."""

import inspect

import pytest

from tidegate.kernel import errors


def test_a_missing_thing_offers_the_nearest_names() -> None:
    error = errors.NotFound("prompt", "suport-answer", known=("support-answer", "greeting"))
    assert error.code == "prompt_not_found"
    assert "Did you mean support-answer?" in str(error)
    assert error.nearest == ("support-answer",)


def test_a_missing_thing_without_near_names_lists_some() -> None:
    assert "Known: a, b." in str(errors.NotFound("model", "zzzz", known=("b", "a")))


def test_a_document_error_begins_with_its_place() -> None:
    error = errors.InvalidDocument("It is wrong.", file="tidegate.yaml", line=3, column=5, mend="Mend it.")
    assert str(error) == "tidegate.yaml:3:5: It is wrong. Mend it."


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_in_the_drawn_tree_and_has_a_code(name: str) -> None:
    cls = getattr(errors, name)
    assert issubclass(cls, errors.TidegateError)
    assert cls.code
    assert name in inspect.getdoc(errors)  # type: ignore[operator]
