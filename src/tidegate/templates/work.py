"""What a rendering may do: steps are charged, and the machinery that the language's signs are turned into.

`a ~ b`, a loop's list and a comparison's sides pass through filters whose names no template can write.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import TypeAlias

from jinja2.runtime import Context, Undefined
from jinja2.utils import pass_context

from tidegate.templates.values import MAX_OUTPUT, Unprintable, text_of

__all__ = [
    "CHARGE_KEY",
    "CONCAT",
    "COUNTED",
    "MACHINERY",
    "MEMBERS",
    "OPERAND",
    "Allowance",
    "Filter",
    "charged",
    "kind_of",
    "known",
]

Filter: TypeAlias = Callable[..., object]

CHARGE_KEY = "work!"
CONCAT = "concat!"
COUNTED = "counted!"
MEMBERS = "members!"
OPERAND = "operand!"

WORK = 300_000
"""Steps a rendering may take: one for each thing evaluated in a loop, each list item, each 64 characters."""

_KINDS: Mapping[type, str] = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a map",
    type(None): "null",
}


class Allowance:
    """The work that is left to one rendering."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = WORK

    def charge(self, steps: int) -> None:
        """Take steps off; raises Unprintable when none are left."""
        self.left -= steps
        if self.left < 0:
            raise Unprintable("the loops over these variables take too many steps")


def kind_of(value: object) -> str:
    """The value's kind in words."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def known(value: object) -> object:
    """The value, unless it is missing: then the error that names it is raised."""
    if isinstance(value, Undefined):
        str(value)
    return value


def charged(work: Filter) -> Filter:
    """The filter, charged for the size of what it gets."""

    @pass_context
    @wraps(work)
    def filter_(context: Context, value: object, *arguments: object, **named: object) -> object:
        _charge(context, value)
        return work(known(value), *arguments, **named)

    return filter_


def _charge(context: Context, value: object, each: int = 1) -> None:
    size = 0
    if isinstance(value, str):
        size = len(value) // 64
    elif isinstance(value, list | dict | tuple):
        size = len(value)
    context[CHARGE_KEY].charge((size + 1) * each)


@charged
def _concat(*values: object) -> str:
    parts = [text_of(value) for value in values]
    if sum(map(len, parts)) > MAX_OUTPUT:
        raise Unprintable(f"`~` grows the text over {MAX_OUTPUT // 1024} KiB")
    return "".join(parts)


@charged
def _operand(value: object) -> object:
    """A side of a comparison: text, a number, true, false or null."""
    if isinstance(value, list | dict | tuple):
        raise Unprintable(f"{kind_of(value)} cannot be compared")
    return value


@charged
def _members(value: object) -> object:
    """The right side of `in`."""
    if not isinstance(value, str | list | dict | tuple):
        raise Unprintable(f"`in` looks into text, a list or a map, not {kind_of(value)}")
    return value


@pass_context
def _counted(context: Context, value: object, steps: int) -> object:
    """What a loop walks over; the whole walk is charged before it begins."""
    if not isinstance(known(value), list | tuple | dict):
        raise Unprintable(f"a loop walks over a list, not over {kind_of(value)}")
    _charge(context, value, steps)
    return value


MACHINERY: Mapping[str, Filter] = {CONCAT: _concat, COUNTED: _counted, MEMBERS: _members, OPERAND: _operand}
