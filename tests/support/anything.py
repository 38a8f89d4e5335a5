"""Any value of a type, for Hypothesis: structs, tuples, dictionaries and literals, with hostile names and figures."""

import types
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

__all__ = ["HOSTILE", "anything"]

HOSTILE = (
    "control", "treatment", "resolved", "tag:session", "<script>alert(1)</script>", "\"&quot;'><img src=x onerror=a()>",
    "</title><b>", "a|b", "[x](javascript:y)", "`*_~#",
    "\x1b[31mred", "\u202etfel", "line\nbreak", "", "&lt;", "ms", "usd",
    "Ω" * 90,
)  # fmt: skip
"""Names that a user may give; none of them holds a word that no report may say."""

_LEAVES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.sampled_from(HOSTILE),
    bool: st.booleans(),
    int: st.integers(-10, 10) | st.integers(-(10**15), 10**15),
    float: st.floats(-2, 2) | st.floats(),
    type(None): st.none(),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of this type."""
    if kind in _LEAVES:
        return _LEAVES[kind]
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(inside)
    if origin in (Union, types.UnionType):
        return st.one_of([anything(one) for one in inside])
    if origin is tuple:
        if inside[-1] is Ellipsis:
            return st.lists(anything(inside[0]), max_size=2).map(tuple)
        return st.tuples(*map(anything, inside))
    if origin is dict:
        return st.dictionaries(anything(inside[0]), anything(inside[1]), max_size=2)
    fields = {field.name: anything(field.type) for field in msgspec.structs.fields(kind)}
    return st.builds(kind, **fields)
