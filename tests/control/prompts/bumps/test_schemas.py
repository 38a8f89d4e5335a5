"""Schemas side by side: sound against a real validator, the same from both sides, and right on known pairs."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.control.prompts.bumps.constraints import turned
from tidegate.control.prompts.bumps.schemas import schema_differences, together
from tidegate.templates.schemas import compile_schema

NAMES = st.sampled_from(["a", "b", "c"])
SMALL = st.integers(0, 4)
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 9), st.sampled_from([0.5, 1.5, 4.0]), st.text("ab1", max_size=4)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
SIMPLE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
        "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=repr),
        "minimum": SMALL,
        "exclusiveMinimum": SMALL,
        "maximum": SMALL,
        "exclusiveMaximum": SMALL,
        "multipleOf": st.sampled_from([1, 2, 3, 0.5]),
        "minLength": SMALL,
        "maxLength": SMALL,
        "pattern": st.sampled_from(["^a", "b$"]),
        "minItems": SMALL,
        "maxItems": SMALL,
        "uniqueItems": st.booleans(),
        "minProperties": SMALL,
        "maxProperties": SMALL,
        "required": st.lists(NAMES, max_size=2, unique=True),
        "title": st.sampled_from(["x", "y"]),
    },
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many = st.lists(inner, min_size=1, max_size=3)
    more = st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "additionalProperties": st.one_of(st.booleans(), inner),
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
            "propertyNames": inner,
            "items": inner,
            "prefixItems": many,
            "contains": inner,
            "minContains": st.integers(0, 2),
            "dependentRequired": st.dictionaries(NAMES, st.lists(NAMES, max_size=1), max_size=1),
            "allOf": many,
            "anyOf": many,
            "oneOf": many,
            "not": inner,
            "if": inner,
            "then": inner,
        },
    )
    return st.tuples(SIMPLE, more).map(lambda pair: {**pair[0], **pair[1]})


SCHEMAS = st.recursive(SIMPLE, _grown, max_leaves=4)


def kinds(before: object, after: object) -> list[str]:
    return sorted(one.kind for one in schema_differences(before, after))


@given(SCHEMAS, SCHEMAS, st.lists(VALUES, min_size=5, max_size=20))
@settings(max_examples=100, deadline=None)
def test_what_is_called_wider_lets_everything_through_that_passed_before(
    before: dict[str, Any], after: dict[str, Any], values: list[Any]
) -> None:
    said = together(schema_differences(before, after))
    old, new = compile_schema(before), compile_schema(after)
    for value in values:
        if said in ("wider", "note"):
            assert new.is_valid(value) or not old.is_valid(value)
        if said in ("narrower", "note"):
            assert old.is_valid(value) or not new.is_valid(value)


@given(SCHEMAS, st.data())
@settings(max_examples=100, deadline=None)
def test_one_word_changed_is_called_what_it_is(schema: dict[str, Any], data: st.DataObject) -> None:
    """Neighbours differ in one word, where random pairs seldom are wider or narrower at all."""
    other = {**schema, **data.draw(SIMPLE)}
    dropped = data.draw(st.sampled_from([*schema, ""]))
    other.pop(dropped, None)
    said = together(schema_differences(schema, other))
    old, new = compile_schema(schema), compile_schema(other)
    for value in data.draw(st.lists(VALUES, min_size=5, max_size=20)):
        if said in ("wider", "note"):
            assert new.is_valid(value) or not old.is_valid(value)
        if said in ("narrower", "note"):
            assert old.is_valid(value) or not new.is_valid(value)


@given(SCHEMAS, SCHEMAS)
@settings(max_examples=100, deadline=None)
def test_widening_and_narrowing_are_inverse(before: dict[str, Any], after: dict[str, Any]) -> None:
    there, back = kinds(before, after), kinds(after, before)
    assert sorted(turned(one) for one in there) == back  # type: ignore[arg-type]


@given(SCHEMAS)
@settings(deadline=None)
def test_a_schema_is_equal_to_itself(schema: dict[str, Any]) -> None:
    assert schema_differences(schema, {**schema}) == ()


WIDER: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"type": "integer"}, {"type": "number"}),
    ({"type": "string"}, {"type": ["string", "null"]}),
    ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}, {"type": "integer"}]}),
    ({"enum": ["a", "b"]}, {"type": "string"}),
    ({"const": "a"}, {"enum": ["a", "b"]}),
    ({"type": "integer", "exclusiveMinimum": 1}, {"type": "integer", "minimum": 1}),
    ({"type": "number", "multipleOf": 0.4}, {"type": "number", "multipleOf": 0.2}),
    ({"type": "array", "prefixItems": [{"type": "string"}], "items": False}, {"type": "array"}),
    (
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "object", "properties": {"a": {}, "b": {}}, "additionalProperties": False},
    ),
    ({"type": "object", "required": ["a", "b"]}, {"type": "object", "required": ["a"]}),
    ({"not": {"type": ["string", "null"]}}, {"not": {"type": "null"}}),
    ({"allOf": [{"minLength": 2}, {"pattern": "^a"}]}, {"allOf": [{"pattern": "^a"}]}),
    (
        {"$ref": "#/$defs/x", "$defs": {"x": {"type": "string", "maxLength": 3}}},
        {"type": "string"},
    ),
    (
        {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
    ),
    ({"anyOf": [{"type": "string", "maxLength": 3}]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
    (False, {"type": "string"}),  # type: ignore[list-item]
]

SAME: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"minimum": 1}, {"minimum": 1.0}),
    ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}),
    ({"required": ["a", "b"]}, {"required": ["b", "a"]}),
    ({"type": ["string", "null"]}, {"anyOf": [{"type": "null"}, {"type": "string"}]}),
    ({"minLength": 0}, {}),
    ({"const": 1}, {"enum": [1]}),
    (
        {"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "null"}}},
        {"properties": {"a": {"type": "null"}}},
    ),
    ({"type": "string", "minimum": 3}, {"type": "string"}),
]

UNCLEAR: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"pattern": "^a"}, {"pattern": "^[ab]"}),
    ({"type": "string", "maxLength": 3}, {"type": ["string", "null"], "maxLength": 2}),
    ({"if": {"type": "string"}, "then": {"maxLength": 3}}, {}),
    ({"unevaluatedProperties": False, "properties": {"a": {}}}, {"unevaluatedProperties": False}),
    ({"multipleOf": 2}, {"multipleOf": 3}),
    ({"oneOf": [{"minimum": 1}, {"maximum": 5}]}, {"oneOf": [{"minimum": 1}]}),
]


@pytest.mark.parametrize(("before", "after"), WIDER)
def test_wider(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    assert together(schema_differences(before, after)) == "wider"
    assert together(schema_differences(after, before)) == "narrower"


@pytest.mark.parametrize(("before", "after"), SAME)
def test_the_same_in_other_words(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    assert together(schema_differences(before, after)) == "note"


@pytest.mark.parametrize(("before", "after"), UNCLEAR)
def test_what_cannot_be_shown(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    assert together(schema_differences(before, after)) == "unclear"


def test_a_difference_tells_where_and_what() -> None:
    before = {"type": "object", "properties": {"a": {"type": "array", "items": {"maxLength": 5}}}}
    after = {"type": "object", "properties": {"a": {"type": "array", "items": {"maxLength": 3}}}}
    (found,) = schema_differences(before, after)
    assert (found.path, found.before, found.after) == (("properties", "a", "items", "maxLength"), 5, 3)
