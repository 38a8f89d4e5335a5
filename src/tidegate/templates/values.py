"""The values a template may hold (JSON's), how each is written into text, and the bounds of that text."""

import math
import re
from typing import TypeGuard

import msgspec

__all__ = [
    "MAX_OUTPUT",
    "RESERVED",
    "Unprintable",
    "bounded",
    "flaw_of",
    "is_number",
    "is_variable_name",
    "json_text",
    "text_of",
]

MAX_OUTPUT = 4 * 1024 * 1024
"""Characters that one message may render to, and that any step on the way may hold."""

MAX_DEPTH = 64
_ENCODER = msgspec.json.Encoder()
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)

_WORDS = "and caller else false False if in is kwargs loop none None not or self super true True varargs"
RESERVED = frozenset(_WORDS.split(" "))
"""Words of the template language, which cannot name a parameter."""


class Unprintable(Exception):
    """A template met a value that it cannot use. The door to the caller turns it into InvalidVariables."""


def is_variable_name(name: str) -> bool:
    """Whether a parameter may have this name: an ASCII letter, then letters, digits, `_`; not reserved."""
    return _NAME.fullmatch(name) is not None and name not in RESERVED


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether the value is a number; true and false are not."""
    return type(value) is int or type(value) is float


def text_of(value: object) -> str:
    """How a value stands in the text: text as it is, everything else as JSON writes it.

    Null has no text: raises Unprintable, so that nothing is silently empty or reads `None`.
    """
    if type(value) is str:
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if is_number(value):
        return repr(value)
    if isinstance(value, list | dict | tuple):
        return json_text(value)
    if value is None:
        raise Unprintable("a value that is null cannot be written into the text")
    str(value)  # an undefined value says here what it misses
    raise Unprintable(f"a {type(value).__name__} cannot be written into the text")


def json_text(value: object) -> str:
    """The value as compact JSON, letters unescaped."""
    return bounded(_ENCODER.encode(value).decode())


def bounded(text: str) -> str:
    """The text, when it is within MAX_OUTPUT; raises Unprintable."""
    if len(text) > MAX_OUTPUT:
        raise Unprintable(f"the text grows over {MAX_OUTPUT // 1024} KiB")
    return text


def flaw_of(value: object, depth: int = 0) -> str | None:
    """What keeps the value from being JSON with 64-bit numbers and valid Unicode; None when nothing does."""
    if value is None or value is True or value is False:
        return None
    if isinstance(value, str):
        return None if value.isascii() else _unicode_flaw(value)
    if isinstance(value, int):
        return None if -(2**63) <= value < 2**63 else "holds a whole number of more than 64 bits"
    if isinstance(value, float):
        return None if math.isfinite(value) else "holds a number that is not finite"
    if depth >= MAX_DEPTH:
        return f"is nested deeper than {MAX_DEPTH}"
    if isinstance(value, list | tuple):
        return next((flaw for item in value if (flaw := flaw_of(item, depth + 1))), None)
    if isinstance(value, dict):
        return _map_flaw(value, depth)
    return f"holds something that is not JSON (a Python `{type(value).__name__}`)"


def _map_flaw(value: dict[object, object], depth: int) -> str | None:
    for key, item in value.items():
        if type(key) is not str:
            return "has a key that is not text"
        flaw = flaw_of(key, depth + 1) or flaw_of(item, depth + 1)
        if flaw:
            return flaw
    return None


def _unicode_flaw(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half a surrogate pair, which is not valid Unicode"
    return None
