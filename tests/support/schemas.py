"""Checking a JSON body against the field names and types of a published schema, as a provider's own door does."""

from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ANYTHING", "Schema", "faults"]

ANYTHING: type = object
Schema = type | Mapping[str, "Schema"] | Sequence["Schema"] | frozenset[str]
"""A type; an object by its fields (`*`: any name); a list by what it holds; or the words that may stand there."""


def faults(value: object, schema: Schema, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield (place, what) for each thing that the schema does not know."""
    if isinstance(schema, frozenset):
        if value not in schema:
            yield where, f"{value!r} is none of {sorted(schema)}"
    elif isinstance(schema, Mapping):
        if not isinstance(value, dict):
            yield where, "is no object"
            return
        for name, inner in value.items():
            known = schema.get(name, schema.get("*"))
            if known is None:
                yield where, f"unknown name {name!r}"
            else:
                yield from faults(inner, known, f"{where}.{name}".lstrip("."))
    elif isinstance(schema, type):
        wrong = isinstance(value, bool) and schema in (int, float)
        fits = isinstance(value, int | float) if schema is float else isinstance(value, schema)
        if wrong or not fits:
            yield where, f"{value!r} is no {schema.__name__}"
    elif not isinstance(value, list):
        yield where, "is no list"
    else:
        for number, inner in enumerate(value):
            yield from faults(inner, schema[0], f"{where}[{number}]")
