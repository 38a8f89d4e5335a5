"""JSON Schemas in forms that can be compared: references written out, numbers and sets in one spelling."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

import msgspec

from tidegate.templates.keywords import LISTS_OF_SCHEMAS, MAPS_OF_SCHEMAS, SCHEMAS

__all__ = ["ALL_KINDS", "NOTES", "Schema", "canonical", "core", "inlined", "kinds_of", "only", "values_of"]

Schema: TypeAlias = bool | dict[str, Any]

NOTES = frozenset(
    (
        *("$comment", "$defs", "$schema", "contentEncoding", "contentMediaType", "contentSchema", "default"),
        *("definitions", "deprecated", "description", "examples", "format", "readOnly", "title", "writeOnly"),
    )
)
"""Keywords that say something and refuse nothing. `format` is one of them, as in the standard."""

ALL_KINDS = frozenset(("null", "boolean", "object", "array", "string", "integer", "fraction"))
MAX_DEPTH = 200
_SETS = ("required", "enum", "type")
_ENCODER = msgspec.json.Encoder(order="deterministic")


def canonical(value: object) -> bytes:
    """A JSON value as bytes that are the same for the same value: keys in order, 1.0 as 1."""
    return _ENCODER.encode(_plain(value))


def inlined(schema: object) -> Schema:
    """The schema with its references written out; one that leads nowhere, or too deep, stays a `$ref`."""
    if isinstance(schema, bool):
        return schema
    return _inlined(schema, schema, 0) if isinstance(schema, dict) else {}


def core(schema: Schema) -> bytes:
    """The schema without its notes, as bytes: two with the same core allow the same values."""
    return canonical(_core(schema))


def kinds_of(schema: Mapping[str, Any]) -> frozenset[str]:
    """The kinds of values that `type`, `const` and `enum` leave; a number is an `integer` or a `fraction`."""
    said = schema.get("type")
    names = [said] if isinstance(said, str) else said if isinstance(said, list) else ["any"]
    kinds = frozenset(kind for name in names for kind in _kinds(name))
    values = values_of(schema)
    return kinds if values is None else kinds & frozenset(_kind(value) for value in values.values())


def values_of(schema: Mapping[str, Any]) -> dict[bytes, Any] | None:
    """The only values that `const` and `enum` leave, by their bytes; None where neither is there."""
    sets = []
    if isinstance(schema.get("enum"), list):
        sets.append({canonical(value): value for value in schema["enum"]})
    if "const" in schema:
        sets.append({canonical(schema["const"]): schema["const"]})
    if not sets:
        return None
    return {key: value for key, value in sets[0].items() if key in sets[-1]}


def only(schema: Mapping[str, Any], keyword: str) -> bool:
    """Whether this keyword is all that the schema demands."""
    return keyword in schema and all(key == keyword or key in NOTES for key in schema)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def _inlined(schema: object, root: Mapping[str, Any], depth: int) -> Schema:
    if not isinstance(schema, dict):
        return schema if isinstance(schema, bool) else {}
    if depth > MAX_DEPTH:
        return schema
    said = {key: _below(key, value, root, depth + 1) for key, value in schema.items() if key not in _DEFINITIONS}
    target = _target(schema.get("$ref"), root)
    if target is None:
        return said
    del said["$ref"]
    whole = _inlined(target, root, depth + 1)
    if isinstance(whole, dict) and all(key in NOTES for key in said):
        return {**whole, **said}
    return {**said, "allOf": [*said.get("allOf", ()), whole]}


_DEFINITIONS = ("$defs", "definitions")


def _below(key: str, value: Any, root: Mapping[str, Any], depth: int) -> Any:
    if key in SCHEMAS:
        return _inlined(value, root, depth)
    if key in LISTS_OF_SCHEMAS and isinstance(value, list):
        return [_inlined(one, root, depth) for one in value]
    if key in MAPS_OF_SCHEMAS and isinstance(value, dict):
        return {name: _inlined(one, root, depth) for name, one in value.items()}
    return value


def _target(reference: object, root: Mapping[str, Any]) -> object | None:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: object = root
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found


def _core(schema: object) -> object:
    if not isinstance(schema, dict):
        return schema
    said: dict[str, object] = {}
    for key, value in schema.items():
        if key in NOTES:
            continue
        if key in SCHEMAS:
            said[key] = _core(value)
        elif key in LISTS_OF_SCHEMAS and isinstance(value, list):
            said[key] = [_core(one) for one in value]
        elif key in MAPS_OF_SCHEMAS and isinstance(value, dict):
            said[key] = {name: _core(one) for name, one in value.items()}
        elif key in _SETS and isinstance(value, list):
            said[key] = sorted(value, key=canonical)
        else:
            said[key] = value
    return said


def _kinds(name: object) -> Iterator[str]:
    if name == "any":
        yield from ALL_KINDS
    elif name == "number":
        yield from ("integer", "fraction")
    else:
        yield str(name)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "fraction"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list | tuple) else "object"
