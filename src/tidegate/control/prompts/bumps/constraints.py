"""The words of JSON Schema that stand for themselves (types, values, bounds, lengths), each compared by itself.

A schema is all of its words at once. So where each word of a version lets through what the same word of the version
before did, the whole does: that is what `wider` rests on.
"""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Literal, NamedTuple, TypeAlias

from tidegate.control.prompts.bumps.forms import NOTES, canonical, kinds_of, values_of

__all__ = [
    "ABSENT",
    "CONSTRAINTS",
    "Difference",
    "Kind",
    "Path",
    "constraint_differences",
    "note_differences",
    "turned",
]

Path: TypeAlias = tuple[str | int, ...]
Kind: TypeAlias = Literal["wider", "narrower", "unclear", "note"]


class _Absent:
    """What stands for a word that is not there; null is a value."""

    def __repr__(self) -> str:
        return "(none)"


ABSENT = _Absent()


class Difference(NamedTuple):
    """How one word of a schema differs. `wider`: every value of before still passes; `narrower`: every value that
    passes now passed before; `unclear`: neither can be shown; `note`: no value is judged otherwise.
    """

    kind: Kind
    path: Path
    before: object
    after: object
    word: str
    """The JSON Schema word, or `property` for one that came or went."""


CONSTRAINTS = frozenset(
    (
        *("const", "enum", "exclusiveMaximum", "exclusiveMinimum", "maxItems", "maxLength", "maxProperties"),
        *("maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "type"),
        "uniqueItems",
    )
)
_SIZES = (("Length", "string"), ("Items", "array"), ("Properties", "object"))
_NUMBERS = frozenset(("integer", "fraction"))


def turned(kind: Kind) -> Kind:
    """The kind seen from the other side."""
    return "wider" if kind == "narrower" else "narrower" if kind == "wider" else kind


def note_differences(path: Path, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """Words that say something and refuse nothing."""
    for word in sorted(NOTES - {"$defs", "definitions"}):
        if (word in a or word in b) and not _same(a, b, word):
            yield _difference("note", path, a, b, word)


def constraint_differences(path: Path, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """The differences of the words in CONSTRAINTS. A word that cannot matter for any type that both allow is left."""
    before, after = kinds_of(a), kinds_of(b)
    both = before & after
    if not _same(a, b, "type"):
        lost, gained = before - after, after - before
        if lost:
            yield _difference("narrower", path, a, b, "type")
        if gained:
            yield _difference("wider", path, a, b, "type")
    yield from _values(path, a, b)
    if both & _NUMBERS:
        whole = "fraction" not in before | after
        yield from _ordered(path, a, b, ("minimum", "exclusiveMinimum"), _low(a, whole), _low(b, whole))
        yield from _ordered(path, a, b, ("maximum", "exclusiveMaximum"), _high(a, whole), _high(b, whole))
        yield from _multiples(path, a, b)
    for what, kind in _SIZES:
        if kind in both:
            least, most = f"min{what}", f"max{what}"
            yield from _ordered(path, a, b, (least,), a.get(least, 0), b.get(least, 0))
            yield from _ordered(path, a, b, (most,), -a.get(most, math.inf), -b.get(most, math.inf))
    if "array" in both:
        yield from _ordered(path, a, b, ("uniqueItems",), bool(a.get("uniqueItems")), bool(b.get("uniqueItems")))
    if "string" in both and not _same(a, b, "pattern"):
        kind_: Kind = "narrower" if "pattern" not in a else "wider" if "pattern" not in b else "unclear"
        yield _difference(kind_, path, a, b, "pattern")


def _values(path: Path, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = values_of(a), values_of(b)
    word = "enum" if "enum" in a or "enum" in b else "const"
    if before is None or after is None:
        if before is not after:
            yield _difference("narrower" if before is None else "wider", path, a, b, word)
        return
    if before.keys() - after.keys():
        yield _difference("narrower", path, a, b, word)
    if after.keys() - before.keys():
        yield _difference("wider", path, a, b, word)


def _ordered(
    path: Path, a: Mapping[str, Any], b: Mapping[str, Any], words: tuple[str, ...], before: Any, after: Any
) -> Iterator[Difference]:
    """The larger of the two demands more."""
    if before != after:
        word = next((word for word in reversed(words) if not _same(a, b, word)), words[0])
        yield _difference("narrower" if after > before else "wider", path, a, b, word)


def _low(schema: Mapping[str, Any], whole: bool) -> tuple[float, bool]:
    """The lower bound and whether it is excluded itself; for whole numbers the least that is left."""
    bounds = [(schema.get("minimum", -math.inf), False), (schema.get("exclusiveMinimum", -math.inf), True)]
    if not whole:
        return max(bounds)
    (least, _), (above, _) = bounds
    return max(
        math.ceil(least) if math.isfinite(least) else least, math.floor(above) + 1 if math.isfinite(above) else above
    ), False


def _high(schema: Mapping[str, Any], whole: bool) -> tuple[float, bool]:
    mirrored = {
        "minimum": -schema.get("maximum", math.inf),
        "exclusiveMinimum": -schema.get("exclusiveMaximum", math.inf),
    }
    return _low(mirrored, whole)


def _multiples(path: Path, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    if _same(a, b, "multipleOf"):
        return
    if "multipleOf" not in a or "multipleOf" not in b:
        yield _difference("narrower" if "multipleOf" in b else "wider", path, a, b, "multipleOf")
        return
    before, after = (Fraction(str(one["multipleOf"])) for one in (a, b))
    kind: Kind = "wider" if before % after == 0 else "narrower" if after % before == 0 else "unclear"
    yield _difference(kind, path, a, b, "multipleOf")


def _same(a: Mapping[str, Any], b: Mapping[str, Any], word: str) -> bool:
    if word in a and word in b:
        return canonical(a[word]) == canonical(b[word])
    return word not in a and word not in b


def _difference(kind: Kind, path: Path, a: Mapping[str, Any], b: Mapping[str, Any], word: str) -> Difference:
    return Difference(kind, (*path, word), a.get(word, ABSENT), b.get(word, ABSENT), word)
