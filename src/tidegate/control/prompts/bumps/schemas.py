"""Two JSON Schemas side by side: what may pass now and might not before, and the other way round.

Sound for the words that it reads: where every difference is `wider` or a `note`, each value that the first schema
allows is allowed by the second. It is not complete: what cannot be shown is `unclear`. With the schemas exchanged,
`wider` and `narrower` change places and nothing else does.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tidegate.control.prompts.bumps.constraints import (
    ABSENT,
    CONSTRAINTS,
    Difference,
    Kind,
    Path,
    constraint_differences,
    note_differences,
    turned,
)
from tidegate.control.prompts.bumps.forms import ALL_KINDS, NOTES, Schema, canonical, core, inlined, kinds_of, only

__all__ = ["schema_differences", "together"]

MAX_STEPS = 100_000
"""Comparisons of parts; nested alternatives beyond it are unclear."""

_STRUCTURE = frozenset(
    (
        *("additionalProperties", "allOf", "anyOf", "contains", "dependentRequired", "items", "maxContains"),
        *("minContains", "not", "oneOf", "patternProperties", "prefixItems", "properties", "propertyNames"),
        "required",
    )
)
_WHOLE = ("unevaluatedProperties", "unevaluatedItems")
"""Words that depend on everything beside them."""


def schema_differences(before: object, after: object) -> tuple[Difference, ...]:
    """Every difference of two schemas, with paths from their roots; empty when they say the same."""
    return tuple(_Comparison().of((), inlined(before), inlined(after)))


def together(differences: Iterable[Difference]) -> Kind:
    """What several differences are in one word."""
    kinds = {one.kind for one in differences} - {"note"}
    if not kinds:
        return "note"
    return kinds.pop() if len(kinds) == 1 else "unclear"


class _Comparison:
    """One comparison, counting its steps."""

    def __init__(self) -> None:
        self._steps = 0

    def of(self, path: Path, before: Schema, after: Schema) -> Iterator[Difference]:
        """The differences of two schemas without references."""
        self._steps += 1
        if before is after or canonical(before) == canonical(after):
            return
        if self._steps > MAX_STEPS:
            yield Difference("unclear", path, before, after, "schema")
            return
        a, b = _map(before), _map(after)
        if a is None or b is None:
            if a is not b:
                yield Difference("wider" if a is None else "narrower", path, before, after, "schema")
            return
        yield from note_differences(path, a, b)
        if core(a) == core(b):
            yield from self._deeper_notes(path, a, b)
        elif _is_choice(a) or _is_choice(b):
            yield from self._branches((*path, "anyOf"), _alternatives(a), _alternatives(b))
        else:
            yield from self._words(path, a, b)

    def _words(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        yield from constraint_differences(path, a, b)
        both = kinds_of(a) & kinds_of(b)
        if "object" in both:
            yield from self._object(path, a, b)
        if "array" in both:
            yield from self._array(path, a, b)
        yield from self._all_of(path, a, b)
        yield from self._any_of(path, a, b)
        if a.get("not") != b.get("not"):
            inner = self.of((*path, "not"), a.get("not", False), b.get("not", False))
            yield from (one._replace(kind=turned(one.kind)) for one in inner)
        for word in sorted((a.keys() | b.keys()) - CONSTRAINTS - _STRUCTURE - NOTES):
            if word in _WHOLE or _said(a, word) != _said(b, word):
                yield _unclear(path, a, b, word)

    def _object(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        lacks, more = set(a.get("required", ())), set(b.get("required", ()))
        if lacks - more:
            yield Difference("wider", (*path, "required"), sorted(lacks - more), ABSENT, "required")
        if more - lacks:
            yield Difference("narrower", (*path, "required"), ABSENT, sorted(more - lacks), "required")
        yield from self._properties(path, a, b)
        yield from self._pair(path, a, b, "propertyNames")
        needs, needed = a.get("dependentRequired", {}), b.get("dependentRequired", {})
        for name in dict.fromkeys((*needs, *needed)):
            old, new = set(needs.get(name, ())), set(needed.get(name, ()))
            place = (*path, "dependentRequired", name)
            if old - new:
                yield Difference("wider", place, sorted(old), sorted(new), "dependentRequired")
            if new - old:
                yield Difference("narrower", place, sorted(old), sorted(new), "dependentRequired")

    def _properties(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        old, new = a.get("properties", {}), b.get("properties", {})
        rest, then = a.get("additionalProperties", True), b.get("additionalProperties", True)
        patterns, now = a.get("patternProperties", {}), b.get("patternProperties", {})
        moved = old.keys() != new.keys() or _said(a, "additionalProperties") != _said(b, "additionalProperties")
        if patterns.keys() != now.keys() or (patterns and moved):
            yield Difference("unclear", (*path, "patternProperties"), patterns, now, "patternProperties")
        for name in patterns.keys() & now.keys():
            yield from self.of((*path, "patternProperties", name), patterns[name], now[name])
        for name in dict.fromkeys((*old, *new)):
            place = (*path, "properties", name)
            found = self.of(place, old.get(name, rest), new.get(name, then))
            if name in old and name in new:
                yield from found
            else:
                kind = together(found)
                yield Difference(kind, place, old.get(name, ABSENT), new.get(name, ABSENT), "property")
        yield from self.of((*path, "additionalProperties"), rest, then)

    def _array(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        first, now = a.get("prefixItems", []), b.get("prefixItems", [])
        rest, then = a.get("items", True), b.get("items", True)
        for at in range(max(len(first), len(now))):
            old = first[at] if at < len(first) else rest
            new = now[at] if at < len(now) else then
            yield from self.of((*path, "prefixItems", at), old, new)
        yield from self.of((*path, "items"), rest, then)
        counted = any(word in one for one in (a, b) for word in ("minContains", "maxContains"))
        if not counted:
            yield from self._pair(path, a, b, "contains")
        elif any(_said(a, word) != _said(b, word) for word in ("contains", "minContains", "maxContains")):
            yield _unclear(path, a, b, "contains")

    def _pair(self, path: Path, a: dict[str, Any], b: dict[str, Any], word: str) -> Iterator[Difference]:
        """A schema at a word; left out it demands nothing."""
        if word in a and word in b:
            yield from self.of((*path, word), a[word], b[word])
        elif word in a or word in b:
            kind: Kind = "narrower" if word in b else "wider"
            yield Difference(kind, (*path, word), a.get(word, ABSENT), b.get(word, ABSENT), word)

    def _all_of(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        place = (*path, "allOf")
        old, new = _unmatched(a.get("allOf", []), b.get("allOf", []))
        if len(old) == len(new):
            for at, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from self.of((*place, at), one, other)
        elif not old or not new:
            yield Difference("narrower" if new else "wider", place, old or ABSENT, new or ABSENT, "allOf")
        else:
            yield Difference("unclear", place, old, new, "allOf")

    def _any_of(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        for word in ("anyOf", "oneOf"):
            place = (*path, word)
            if _said(a, word) == _said(b, word):
                continue
            if word not in a or word not in b:
                kind: Kind = "narrower" if word in b else "wider"
                yield Difference(kind, place, a.get(word, ABSENT), b.get(word, ABSENT), word)
            elif word == "anyOf" or (_apart(a[word]) and _apart(b[word])):
                yield from self._branches(place, a[word], b[word])
            else:
                yield _unclear(path, a, b, word)

    def _branches(self, path: Path, before: Sequence[Schema], after: Sequence[Schema]) -> Iterator[Difference]:
        """Alternatives: one of them is enough."""
        old, new = _unmatched(before, after)
        word = str(path[-1])
        if len(old) == len(new) == 1:
            yield from self.of((*path, _index(before, old[0])), old[0], new[0])
            return
        kept = all(any(self._within(one, other) for other in after) for one in old)
        known = all(any(self._within(other, one) for one in before) for other in new)
        if kept and known:
            return
        if kept or known:
            yield Difference("wider" if kept else "narrower", path, old or ABSENT, new or ABSENT, word)
        else:
            yield Difference("unclear", path, old, new, word)

    def _within(self, one: Schema, other: Schema) -> bool:
        return all(found.kind in ("wider", "note") for found in self.of((), one, other))

    def _deeper_notes(self, path: Path, a: dict[str, Any], b: dict[str, Any]) -> Iterator[Difference]:
        """Of schemas that allow the same: notes of their properties and items."""
        for name, one in a.get("properties", {}).items():
            yield from self.of((*path, "properties", name), one, b["properties"][name])
        if "items" in a:
            yield from self.of((*path, "items"), a["items"], b["items"])


def _map(schema: Schema) -> dict[str, Any] | None:
    """The schema as a map; None for one that nothing passes."""
    if schema is True:
        return {}
    if schema is False or (only(schema, "not") and schema["not"] in (True, {})):
        return None
    return schema


def _is_choice(schema: dict[str, Any]) -> bool:
    return only(schema, "anyOf") or (only(schema, "oneOf") and _apart(schema["oneOf"]))


def _alternatives(schema: dict[str, Any]) -> list[Schema]:
    """The schema as a list of which one is enough; several types are that many alternatives."""
    if _is_choice(schema):
        return list(schema["anyOf"] if "anyOf" in schema else schema["oneOf"])
    said = schema.get("type")
    if isinstance(said, list) and len(said) > 1:
        return [{**schema, "type": one} for one in said]
    return [schema]


def _apart(branches: Sequence[Schema]) -> bool:
    """Whether no value passes two of the branches, by their types or by the value of a property that each demands."""
    kinds = [kinds_of(one) if isinstance(one, dict) else ALL_KINDS for one in branches]
    if sum(map(len, kinds)) == len(frozenset().union(*kinds)):
        return True
    tags = [_tags(one) for one in branches]
    for name in tags[0] if tags else ():
        values = [value for one in tags for value in one.get(name, (None,))]
        if None not in values and len(set(values)) == len(values):
            return True
    return False


def _tags(schema: Schema) -> dict[str, tuple[bytes | None, ...]]:
    """The required properties that have only some values, with these."""
    if not isinstance(schema, dict) or schema.get("type") != "object":
        return {}
    found: dict[str, tuple[bytes | None, ...]] = {}
    for name, rule in schema.get("properties", {}).items():
        if isinstance(rule, dict) and name in schema.get("required", ()) and ("const" in rule or "enum" in rule):
            values = rule.get("enum", [rule.get("const")])
            found[name] = tuple(canonical(value) for value in values)
    return found


def _unmatched(before: Sequence[Schema], after: Sequence[Schema]) -> tuple[list[Schema], list[Schema]]:
    """Both lists without what stands in both."""
    left = [(core(one), one) for one in after]
    old: list[Schema] = []
    for one in before:
        match = next((pair for pair in left if pair[0] == core(one)), None)
        if match is None:
            old.append(one)
        else:
            left.remove(match)
    return old, [one for _, one in left]


def _index(branches: Sequence[Schema], one: Schema) -> int:
    return next((at for at, other in enumerate(branches) if other is one), 0)


def _said(schema: dict[str, Any], word: str) -> bytes | None:
    return canonical(schema[word]) if word in schema else None


def _unclear(path: Path, a: dict[str, Any], b: dict[str, Any], word: str) -> Difference:
    return Difference("unclear", (*path, word), a.get(word, ABSENT), b.get(word, ABSENT), word)
