"""From a YAML document to a Struct, telling everything that does not fit at once, each with its line and mend."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import InvalidDocument

__all__ = ["convert_document"]

T = TypeVar("T", bound=msgspec.Struct)

_WORDS: Mapping[str, str] = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "null": "null",
    "object": "a map",
    "str": "text",
}


def convert_document(document: Document, kind: type[T]) -> tuple[T | None, tuple[InvalidDocument, ...]]:
    """Return the Struct, or None and every fault: `unknown_field`, `missing_field`, `wrong_type`, `wrong_value`."""
    faults = tuple(_check(document, (), kind))
    if faults:
        return None, faults
    try:
        return msgspec.convert(document.value, kind), ()
    except msgspec.ValidationError as error:  # a rule that spans fields
        return None, (document.fault((), f"{error}.", code="wrong_value"),)


def _check(document: Document, path: Path, hint: Any) -> Iterator[InvalidDocument]:
    value = _at(document.value, path)
    hint = _arm(hint, value)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and isinstance(value, dict):
        yield from _check_struct(document, path, hint, value)
        return
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is dict and isinstance(value, dict):
        for key in value:
            yield from _check_key(document, (*path, key), arguments[0])
            yield from _check(document, (*path, key), arguments[1])
    elif origin in (list, tuple) and isinstance(value, list):
        for index in range(len(value)):
            yield from _check(document, (*path, index), arguments[0])
    else:
        yield from _check_leaf(document, path, hint, value)


def _arm(hint: Any, value: object) -> Any:
    """The member of a union that a map or list is meant for; the union itself for anything else."""
    inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(inner) not in (Union, UnionType):
        return inner if isinstance(value, dict | list) else hint
    for arm in get_args(inner):
        origin = get_origin(arm)
        if isinstance(value, dict) and (origin is dict or (isinstance(arm, type) and issubclass(arm, msgspec.Struct))):
            return arm
        if isinstance(value, list) and origin in (list, tuple):
            return arm
    return hint


def _check_struct(
    document: Document, path: Path, kind: type[msgspec.Struct], value: dict[str, object]
) -> Iterator[InvalidDocument]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for name, field in fields.items():
        if name in value:
            yield from _check(document, (*path, name), field.type)
        elif field.required:
            yield document.fault(path, f"{_called(path)} lacks `{name}`.", mend=f"Add `{name}:`.", code="missing_field")
    for name in value:
        if name not in fields:
            near = get_close_matches(name, fields, n=1, cutoff=0.6)
            mend = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(fields)}."
            message = f"{_called(path)} has no field `{name[:60]}`."
            yield document.fault((*path, name), message, mend=mend, code="unknown_field")


def _check_key(document: Document, path: Path, hint: Any) -> Iterator[InvalidDocument]:
    if hint is not str:
        yield from _check_leaf(document, path, hint, path[-1])


def _check_leaf(document: Document, path: Path, hint: Any, value: object) -> Iterator[InvalidDocument]:
    try:
        msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        choices = _choices(hint)
        if choices and isinstance(value, str):
            near = get_close_matches(value, choices, n=1, cutoff=0.5)
            mend = f"Did you mean `{near[0]}`?" if near else f"Known: {', '.join(choices)}."
            yield document.fault(path, f"{_called(path)} cannot be {value[:60]!r}.", mend=mend, code="wrong_value")
            return
        reason = str(error).partition(" - at ")[0]
        code = "wrong_type" if ", got `" in reason else "wrong_value"
        message = f"{_called(path)}: {_plain(reason)}."
        yield document.fault(path, message, mend=_mend(document, path, value, reason), code=code)


def _mend(document: Document, path: Path, value: object, reason: str) -> str:
    written = document.written(path)
    if reason.startswith("Expected `str`") and written and not isinstance(value, str):
        return f'`{written[:40]}` was read as {_kind(value)}; write "{written[:40]}" in quotes.'
    return ""


def _choices(hint: Any) -> list[str]:
    if get_origin(hint) is Literal:
        return [str(choice) for choice in get_args(hint)]
    return [choice for part in get_args(hint) for choice in _choices(part)]


def _plain(reason: str) -> str:
    """msgspec's words in ours: "Expected `str`, got `int`" becomes "expected text, got a whole number"."""
    words = re.sub(r"`([a-z]+)( \| [a-z]+)*`", lambda found: _spell(found[0].strip("`")), reason)
    return words[:1].lower() + words[1:]


def _spell(kinds: str) -> str:
    return " or ".join(_WORDS.get(kind, f"`{kind}`") for kind in kinds.split(" | "))


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    return f"the number {value}" if isinstance(value, int | float) else "null" if value is None else "something else"


def _called(path: Path) -> str:
    return f"`{'.'.join(str(step) for step in path)}`" if path else "The file"


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value
