"""JSON Schema 2020-12 as prompts may write it: every fault of a schema with its path, and what a bad value breaks.

References stay inside the schema and never go in circles, and patterns run in linear time. So neither a schema nor a
value can make the check slow, and nothing is ever fetched.
"""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeAlias
from urllib.parse import unquote

import jsonschema_rs

from tidegate.templates.faults import SchemaFault
from tidegate.templates.keywords import (
    DIALECT,
    KEYWORDS,
    LISTS_OF_SCHEMAS,
    MAPS_OF_SCHEMAS,
    REFUSED,
    SCHEMAS,
    TYPES,
)
from tidegate.templates.work import kind_of

__all__ = ["compile_schema", "explain", "schema_faults"]

Path: TypeAlias = tuple[str | int, ...]

MAX_EXPANSION = 10_000
MAX_DEPTH = 200
INVALID = "schema_invalid"
REFERENCE = "schema_reference"
KEYWORD = "schema_keyword"
_PATTERNS = jsonschema_rs.RegexOptions(size_limit=1024 * 1024)
_MASK = "the value"
_META = jsonschema_rs.Draft202012Validator({"$ref": DIALECT}, offline=True, mask=_MASK)


def compile_schema(schema: Mapping[str, object]) -> jsonschema_rs.Draft202012Validator:
    """The schema, ready to check values; raises ValueError for a wrong one. `format` is a note, as in the standard."""
    try:
        return jsonschema_rs.Draft202012Validator(
            dict(schema), offline=True, pattern_options=_PATTERNS, mask=_MASK, validate_formats=False
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(getattr(error, "message", str(error)).partition("\n")[0]) from error


def schema_faults(schema: object) -> tuple[SchemaFault, ...]:
    """Every fault of a schema. The code `schema_keyword` (a word that JSON Schema does not know) is a warning."""
    if not isinstance(schema, dict):
        return (SchemaFault((), "A schema is a map.", "Write `type: object` and `properties:`.", INVALID),)
    faults = list(dict.fromkeys(_meta_faults(schema)))
    if any(fault.code == INVALID for fault in faults):
        return tuple(faults)
    expansion = _Expansion(schema)
    if expansion.size > MAX_EXPANSION:
        message = f"With its references written out the schema holds over {MAX_EXPANSION} parts."
        faults.append(SchemaFault((), message, "Reference less, or describe less.", REFERENCE))
    faults += [*expansion.faults, *dict.fromkeys(_word_faults(schema))]
    if any(fault.code == REFERENCE for fault in faults):
        return tuple(faults)
    try:
        compile_schema(schema)
    except (ValueError, TypeError) as error:
        where = _bad_pattern(schema)
        mend = "Mend the pattern: look-around and back-references are not read." if where else "See json-schema.org."
        faults.append(SchemaFault(where or (), f"The schema cannot be used: {error}.", mend, INVALID))
    return tuple(faults)


def explain(error: Any) -> str:
    """What a value breaks, in words that hold nothing of the value itself."""
    kind, facts = error.kind.name, {}
    if kind in ("type", "enum", "const", "required"):
        facts = error.kind.as_dict()
    if kind == "type":
        return f"must be {' or '.join(TYPES.get(name, name) for name in facts['types'])}, not {kind_of(error.instance)}"
    if kind == "enum":
        return f"must be one of {', '.join(str(option) for option in facts['options'])}"
    if kind == "const":
        return f"must be {facts['expected_value']}"
    if kind == "required":
        return f"misses {facts['property']!r}"
    if kind == "falseSchema":
        return "is not allowed here"
    return str(error.message).partition("\n")[0].removeprefix(_MASK).strip()


def _meta_faults(schema: dict[str, object]) -> Iterator[SchemaFault]:
    for error in _META.iter_errors(schema):
        path = tuple(error.instance_path)
        wrong = error.instance
        if path and path[-1] == "type" and isinstance(wrong, str):
            near = get_close_matches(wrong, TYPES, n=1, cutoff=0.4)
            hint = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(TYPES)}."
            yield SchemaFault(path, f"`{wrong}` is no type of JSON Schema.", hint, INVALID)
        else:
            name = f"`{path[-1]}`" if path else "The schema"
            yield SchemaFault(path, f"{name} {explain(error)}.", "See json-schema.org, draft 2020-12.", INVALID)


def _parts(schema: dict[str, object]) -> Iterator[tuple[Path, object]]:
    """The schemas that stand in a schema, with the steps to each."""
    for keyword, value in schema.items():
        if keyword in SCHEMAS:
            yield (keyword,), value
        elif keyword in LISTS_OF_SCHEMAS and isinstance(value, list):
            for index, item in enumerate(value):
                yield (keyword, index), item
        elif keyword in MAPS_OF_SCHEMAS and isinstance(value, dict):
            for name, item in value.items():
                yield (keyword, name), item


def _schemas(schema: object, path: Path = ()) -> Iterator[tuple[Path, dict[str, object]]]:
    """A schema and all that stand in it, with their paths."""
    if isinstance(schema, dict):
        yield path, schema
        for step, part in _parts(schema):
            yield from _schemas(part, (*path, *step))


def _word_faults(root: dict[str, object]) -> Iterator[SchemaFault]:
    for path, schema in _schemas(root):
        for keyword, value in schema.items():
            if keyword in REFUSED:
                mend = "Write the schema whole, with references such as `#/$defs/name`."
                yield SchemaFault((*path, keyword), f"`{keyword}` is not read in a prompt.", mend, REFERENCE)
            elif keyword == "$schema" and value != DIALECT:
                yield SchemaFault((*path, keyword), "Only draft 2020-12 is read.", f"Write {DIALECT}.", REFERENCE)
            elif keyword not in KEYWORDS and not keyword.startswith("x-"):
                near = get_close_matches(keyword, KEYWORDS, n=1)
                mend = f"Did you mean `{near[0]}`?" if near else "Begin its name with `x-` if it is a note of yours."
                yield SchemaFault((*path, keyword), f"JSON Schema has no keyword `{keyword}`.", mend, KEYWORD)


class _Expansion:
    """Follows references, to find those that lead nowhere or in a circle, and how large the schema is without them."""

    def __init__(self, root: dict[str, object]) -> None:
        self.faults: list[SchemaFault] = []
        self._root = root
        self._sizes: dict[int, int] = {}
        self._open: set[int] = set()
        self.size = self._measure(root, (), 0)

    def _measure(self, schema: object, path: Path, depth: int) -> int:
        if not isinstance(schema, dict):
            return 1
        known = self._sizes.get(id(schema))
        if known is not None:
            return known
        self._open.add(id(schema))
        size = 1 + len(schema)
        for step, part in _parts(schema):
            size += self._measure(part, (*path, *step), depth + 1)
        if isinstance(target := schema.get("$ref"), str):
            size += self._follow(target, (*path, "$ref"), depth + 1)
        self._open.discard(id(schema))
        self._sizes[id(schema)] = size
        return size

    def _follow(self, target: str, path: Path, depth: int) -> int:
        found = _resolve(self._root, target)
        if found is None:
            mend = "Point to a schema in this file: `#/$defs/name`."
            self._refuse(path, f"The reference {target[:80]!r} leads nowhere in this schema.", mend)
        elif id(found) in self._open:
            mend = "Describe the nesting as deep as you need it."
            self._refuse(path, f"The reference {target[:80]!r} goes in a circle.", mend)
        elif depth > MAX_DEPTH:
            self._refuse(path, f"References lead deeper than {MAX_DEPTH} steps.", "Reference less.")
        else:
            return self._measure(found, path, depth)
        return 1

    def _refuse(self, path: Path, message: str, mend: str) -> None:
        self.faults.append(SchemaFault(path, message, mend, REFERENCE))


def _resolve(root: dict[str, object], target: str) -> object:
    """The schema at a JSON pointer within the file; None when there is none."""
    if target != "#" and not target.startswith("#/"):
        return None
    found: object = root
    for step in target[2:].split("/") if len(target) > 1 else ():
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(name)
        elif isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            return None
    return found if isinstance(found, dict | bool) else None


def _bad_pattern(schema: dict[str, object]) -> Path | None:
    """Where the first pattern stands that cannot be compiled."""
    for path, part in _schemas(schema):
        written = part.get("pattern")
        named = part.get("patternProperties")
        patterns = [((*path, "pattern"), written)] if isinstance(written, str) else []
        if isinstance(named, dict):
            patterns += [((*path, "patternProperties", name), name) for name in named]
        for place, pattern in patterns:
            try:
                compile_schema({"pattern": pattern})
            except ValueError:
                return place
    return None
