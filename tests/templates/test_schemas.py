"""JSON Schemas in prompts: what is wrong with one, and that values are judged as another implementation judges them."""

import time
from typing import Any

import jsonschema
import jsonschema_specifications  # type: ignore[import-untyped]
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tidegate.kernel.errors import InvalidVariables
from tidegate.templates.keywords import KEYWORDS
from tidegate.templates.parameters import Parameters
from tidegate.templates.schemas import compile_schema, schema_faults


def found(schema: object) -> list[tuple[str, str]]:
    return [(fault.code, ".".join(map(str, fault.path))) for fault in schema_faults(schema)]


def test_a_good_schema_has_no_faults() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "x",
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "$defs": {"name": {"type": "string", "pattern": "^[a-z]+$"}},
        "properties": {
            "a": {"$ref": "#/$defs/name", "x-note": "mine", "examples": ["ab"]},
            "b": {"type": ["integer", "null"], "minimum": 1},
            "c": {"type": "array", "items": {"$ref": "#/$defs/name"}, "uniqueItems": True},
            "d": {"anyOf": [{"const": 1}, {"enum": ["x", "y"]}], "format": "date"},
            "e": True,
        },
    }
    assert found(schema) == []


@pytest.mark.parametrize(
    ("schema", "code", "path"),
    [
        ({"type": "strng"}, "schema_invalid", "type"),
        ({"properties": {"a": {"minLength": -1}}}, "schema_invalid", "properties.a.minLength"),
        ({"properties": {"a": {"required": True}}}, "schema_invalid", "properties.a.required"),
        ({"properties": {"a": 5}}, "schema_invalid", "properties.a"),
        ({"properties": []}, "schema_invalid", "properties"),
        ({"required": ["a", "a"]}, "schema_invalid", "required"),
        ({"enum": "x"}, "schema_invalid", "enum"),
        ({"properties": {"a": {"pattern": "("}}}, "schema_invalid", "properties.a.pattern"),
        ({"properties": {"a": {"pattern": "(?=x)y"}}}, "schema_invalid", "properties.a.pattern"),
        ({"properties": {"a": {"pattern": r"(x)\1"}}}, "schema_invalid", "properties.a.pattern"),
        ({"patternProperties": {"[": {}}}, "schema_invalid", "patternProperties.["),
        ({"properties": {"a": {"pattern": "(a{1000}){1000}"}}}, "schema_invalid", "properties.a.pattern"),
        ([], "schema_invalid", ""),
        ("x", "schema_invalid", ""),
        ({"$ref": "https://example.org/x.json"}, "schema_reference", "$ref"),
        ({"$ref": "file:///etc/passwd"}, "schema_reference", "$ref"),
        ({"$ref": "other.json#/a"}, "schema_reference", "$ref"),
        ({"$ref": "#name"}, "schema_reference", "$ref"),
        ({"$ref": "#/$defs/nope"}, "schema_reference", "$ref"),
        ({"$ref": "#"}, "schema_reference", "$ref"),
        ({"$id": "https://example.org/"}, "schema_reference", "$id"),
        ({"$dynamicRef": "#x"}, "schema_reference", "$dynamicRef"),
        ({"$anchor": "x"}, "schema_reference", "$anchor"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema_reference", "$schema"),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, "schema_reference", "properties.a.$ref"),
        ({"properties": {"a": {"items": {"$ref": "#"}}}}, "schema_reference", "properties.a.items.$ref"),
        ({"properties": {"a": {"maxLenght": 5}}}, "schema_keyword", "properties.a.maxLenght"),
        ({"requried": ["a"]}, "schema_keyword", "requried"),
    ],
)
def test_a_fault_is_told_with_its_path(schema: object, code: str, path: str) -> None:
    assert found(schema) == [(code, path)]
    assert all(fault.mend for fault in schema_faults(schema))


def test_every_fault_is_told_at_once() -> None:
    schema = {"type": "objct", "properties": {"a": {"type": "text", "minLength": "1"}, "b": {"maximum": "x"}}}
    assert sorted(path for _, path in found(schema)) == [
        "properties.a.minLength",
        "properties.a.type",
        "properties.b.maximum",
        "type",
    ]


def test_the_mend_names_what_was_meant() -> None:
    assert schema_faults({"type": "strng"})[0].mend == "Did you mean `string`?"
    assert schema_faults({"maxLenght": 1})[0].mend == "Did you mean `maxLength`?"


@pytest.mark.parametrize(
    "schema",
    [
        {
            "$defs": {f"a{n}": {"anyOf": [{"$ref": f"#/$defs/a{n - 1}"}] * 2} for n in range(1, 60)} | {"$defs": {}},
            "$ref": "#/$defs/a59",
        },
        {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(5000)}, "$ref": "#/$defs/a0"},
        {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        {"$defs": {"a": {"properties": {f"p{n}": {} for n in range(500)}}}, "allOf": [{"$ref": "#/$defs/a"}] * 500},
        {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
    ],
)
def test_a_schema_that_would_explode_is_refused_in_a_moment(schema: dict[str, object]) -> None:
    began = time.perf_counter()
    assert {code for code, _ in found(schema)} == {"schema_reference"}
    assert time.perf_counter() - began < 2


def test_a_pattern_cannot_be_made_slow() -> None:
    check = compile_schema({"pattern": "^(a+)+$"})
    began = time.perf_counter()
    assert not check.is_valid("a" * 100_000 + "b")
    assert time.perf_counter() - began < 2


def test_the_words_are_those_of_the_standard() -> None:
    """Every keyword of the 2020-12 meta-schemas is known, and no other."""
    registry = jsonschema.Draft202012Validator.META_SCHEMA
    words: set[str] = set()
    for vocabulary in registry["allOf"]:
        uri = f"https://json-schema.org/draft/2020-12/{vocabulary['$ref']}"
        words |= set(jsonschema_specifications.REGISTRY.contents(uri)["properties"])
    ours = KEYWORDS - {"definitions", "$recursiveAnchor", "$recursiveRef"}
    assert ours == words


# ------------------------------------------------------------------------------------------------- the oracle

leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, -2.5]) | st.text("ab", max_size=3)
values: st.SearchStrategy[Any] = st.recursive(
    leaf,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=6,
)
types = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
small = st.integers(0, 3)


def keyword_sets(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    maps = st.dictionaries(st.text("ab", max_size=2), inner, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "const": values,
            "minimum": st.integers(-3, 3),
            "exclusiveMaximum": st.integers(-3, 3),
            "multipleOf": st.integers(1, 3),
            "minLength": small,
            "maxLength": small,
            "pattern": st.sampled_from(["^a", "b$", "ab?", "^$"]),
            "minItems": small,
            "maxItems": small,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "contains": inner,
            "required": st.lists(st.text("ab", max_size=2), max_size=2, unique=True),
            "properties": maps,
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["a", "^b"]), inner, max_size=2),
            "propertyNames": inner,
            "minProperties": small,
            "dependentRequired": st.dictionaries(
                st.text("ab", max_size=1), st.lists(st.text("ab", max_size=1), max_size=1), max_size=1
            ),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "not": inner,
            "if": inner,
            "then": inner,
            "else": inner,
            "unevaluatedProperties": st.booleans(),
            "unevaluatedItems": st.booleans(),
        },
    )


schemas: st.SearchStrategy[Any] = st.recursive(st.booleans() | keyword_sets(st.booleans()), keyword_sets, max_leaves=4)


@given(schemas.filter(lambda schema: isinstance(schema, dict)), values)
def test_values_are_judged_as_the_reference_implementation_judges_them(schema: dict[str, Any], value: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema_faults(schema) == ()
    assert compile_schema(schema).is_valid(value) == jsonschema.Draft202012Validator(schema).is_valid(value)


@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), schemas, max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "c"]), values),
)
def test_parameters_take_what_the_reference_implementation_takes(
    properties: dict[str, Any], variables: dict[str, Any]
) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    assume(variables.keys() <= properties.keys())
    expected = jsonschema.Draft202012Validator(schema).is_valid(variables)
    try:
        Parameters("p 1.0.0", schema).check(variables)
        taken = True
    except InvalidVariables:
        taken = False
    assert taken == expected


@given(
    st.dictionaries(
        st.sampled_from(["type", "properties", "required", "enum", "minLength", "items", "pattern", "allOf"]), values
    )
)
def test_a_schema_is_good_where_the_reference_implementation_says_so(schema: dict[str, Any]) -> None:
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        good = True
    except jsonschema.SchemaError:
        good = False
    faults = [fault for fault in schema_faults(schema) if fault.code != "schema_keyword"]
    assert (faults == []) == good
