"""Hold a document against its shape and find every fault; a plain conversion would stop at the first."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import InvalidDocument

__all__ = ["Complaint", "Complaints", "check_shape", "complain", "name_hint"]


_PLAIN = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "a block",
    "array": "a list",
    "null": "nothing",
}


class Complaint(NamedTuple):
    """What is wrong with one value. `message` goes on from the field's name: `is not a URL`."""

    code: str
    message: str
    mend: str


Complaints = Mapping[tuple[type, str], Callable[[Any], Complaint | None]]
"""What a value must hold beyond its type, keyed by (block, field); with "!" after the field for a look before
the type is judged, with "*" for each name under it; an empty field stands for the whole block."""


def complain(document: Document, path: Path, complaint: Complaint) -> InvalidDocument:
    """Return the complaint as an error that names the field and its place."""
    thing = f"`{_dotted(path)}`" if path else "The file"
    message = f"{thing} {complaint.message}."
    return document.fault(path, message, mend=complaint.mend, code=complaint.code)


def name_hint(name: str, known: Mapping[str, object] | list[str], place: str) -> str:
    """A mend for a name that is not known: the nearest ones, else all."""
    near = get_close_matches(name, list(known), n=2, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(f'`{one}`' for one in near)}?"
    return f"{place}: {', '.join(sorted(known))}." if known else f"{place}: none."


def check_shape(
    document: Document, shape: type[msgspec.Struct], complaints: Complaints, *, path: Path = ()
) -> list[InvalidDocument]:
    """Return every fault of the value at `path` against the shape; none means that msgspec converts it."""
    value: Any = document.value
    for step in path:
        value = value[step]
    reading = _Reading(document, complaints)
    reading.block(path, value, shape)
    return reading.faults


class _Reading:
    """One walk through one document."""

    def __init__(self, document: Document, complaints: Complaints) -> None:
        self.document = document
        self.complaints = complaints
        self.faults: list[InvalidDocument] = []

    def complain(self, path: Path, complaint: Complaint) -> None:
        self.faults.append(complain(self.document, path, complaint))

    def block(self, path: Path, value: object, shape: type[msgspec.Struct]) -> None:
        fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
        if not isinstance(value, dict):
            message = f"is {_kind(value)}, not a block of fields"
            self.complain(path, Complaint("wrong_type", message, f"Fields here: {', '.join(fields)}."))
            return
        self.judge(path, value, (shape, ""))
        hints = get_type_hints(shape, include_extras=True)
        for name, inner in value.items():
            field = fields.get(name)
            if field is None:
                hint = name_hint(name, fields, "Fields here")
                self.complain((*path, name), Complaint("unknown_field", "is not a field", hint))
            else:
                self.field((*path, name), inner, hints[field.name], (shape, field.name))
        for name, field in fields.items():
            if field.required and name not in value:
                meaning = _meaning(hints[field.name], name)
                self.complain(path, Complaint("missing_field", f"has no `{name}`", meaning))

    def field(self, path: Path, value: object, hint: object, key: tuple[type, str]) -> None:
        block, name = key
        found = len(self.faults)
        self.judge(path, value, (block, f"{name}!"))
        if len(self.faults) > found:
            return
        self.value(path, value, hint)
        if value is not None and len(self.faults) == found:
            self.judge(path, value, key)
        for inner in value if isinstance(value, dict) else ():
            self.judge((*path, inner), inner, (block, f"{name}*"))

    def judge(self, path: Path, value: object, key: tuple[type, str]) -> None:
        check = self.complaints.get(key)
        complaint = check(value) if check is not None else None
        if complaint is not None:
            self.complain(path, complaint)

    def value(self, path: Path, value: Any, hint: object) -> None:
        """Go into blocks, maps and lists of blocks; anything else is msgspec's to judge."""
        block = _block_of(hint, value)
        if block is not None:
            self.block(path, value, block)
            return
        entries = _entries(hint, value)
        for name, entry, inner in entries:
            self.value((*path, name), entry, inner)
        if not entries:
            self.leaf(path, value, hint)

    def leaf(self, path: Path, value: object, hint: object) -> None:
        try:
            msgspec.convert(value, hint)
        except msgspec.ValidationError as error:
            message = str(error).partition(" - at `$")[0]
            message = message.replace("Expected", "should be").replace(", got", ", is")
            for word, plain in _PLAIN.items():
                message = message.replace(f"`{word}`", plain)
            self.complain(path, Complaint("wrong_type", message, _meaning(hint, str(path[-1]))))


def _block_of(hint: object, value: object) -> type[msgspec.Struct] | None:
    """The Struct to descend into; None where the value is none, or the hint allows something else that it may be."""
    hint = _bare(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return hint
    if get_origin(hint) in (Union, UnionType) and isinstance(value, dict):
        return next((one for one in map(_bare, get_args(hint)) if _is_block(one)), None)  # type: ignore[return-value]
    return None


def _entries(hint: object, value: object) -> list[tuple[Any, Any, object]]:
    """(name, entry, its hint) of a map or list that may hold blocks; none for anything else."""
    hint = _bare(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if not any(_holds_block(argument) for argument in arguments):
        return []
    if origin is dict and isinstance(value, dict):
        return [(name, entry, arguments[1]) for name, entry in value.items()]
    if origin in (tuple, list) and isinstance(value, list):
        return [(at, entry, arguments[0]) for at, entry in enumerate(value)]
    return []


def _holds_block(hint: object) -> bool:
    hint = _bare(hint)
    if get_origin(hint) in (Union, UnionType):
        return any(_is_block(_bare(argument)) for argument in get_args(hint))
    return _is_block(hint)


def _is_block(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def _bare(hint: object) -> object:
    """The type without Annotated around it, and without `| None`."""
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        rest = [argument for argument in get_args(hint) if argument is not NoneType]
        if len(rest) == 1:
            return _bare(rest[0])
    return hint


def _meaning(hint: object, name: str) -> str:
    """What the field is for, from the shape's own description."""
    if get_origin(hint) is Annotated:
        for note in get_args(hint)[1:]:
            if isinstance(note, msgspec.Meta) and note.description:
                return f"`{name}`: {note.description}"
    for argument in get_args(hint):
        meaning = _meaning(argument, name)
        if meaning:
            return meaning
    return ""


def _kind(value: object) -> str:
    names = {"NoneType": "empty", "list": "a list"}
    return names.get(type(value).__name__) or _PLAIN.get(type(value).__name__, "something else")


def _dotted(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
