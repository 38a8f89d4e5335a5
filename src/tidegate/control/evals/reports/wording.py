"""Two answers word by word: what only the one says, and what only the other."""

import re
from difflib import SequenceMatcher
from typing import NamedTuple

__all__ = ["Piece", "word_diff"]

_TOKEN = re.compile(r"\s+|\w+\s*|[^\w\s]\s*")


class Piece(NamedTuple):
    """A stretch of a text, and whether the other one has it."""

    text: str
    same: bool


def word_diff(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in stretches. Joined, the stretches of each are the text itself.

    What both begin and end with is set aside first. In longer rests (200 words) words that make up more than 1% begin
    no match: else a text that says one thing again and again would take minutes.
    """
    one, two = _TOKEN.findall(before), _TOKEN.findall(after)
    first = _alike(one, two)
    last = _alike(one[first:][::-1], two[first:][::-1])
    left: list[Piece] = []
    right: list[Piece] = []
    ends = len(one) - last, len(two) - last
    _add((left, right), one[:first], two[:first], same=True)
    for kind, a, b, c, d in SequenceMatcher(None, one[first : ends[0]], two[first : ends[1]]).get_opcodes():
        _add((left, right), one[first + a : first + b], two[first + c : first + d], same=kind == "equal")
    _add((left, right), one[ends[0] :], two[ends[1] :], same=True)
    return tuple(left), tuple(right)


def _alike(one: list[str], two: list[str]) -> int:
    """How many words both begin with."""
    return next((at for at, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), min(len(one), len(two)))


def _add(sides: tuple[list[Piece], list[Piece]], one: list[str], two: list[str], *, same: bool) -> None:
    for pieces, words in zip(sides, (one, two), strict=True):
        text = "".join(words)
        if not text:
            continue
        if pieces and pieces[-1].same == same:
            pieces[-1] = Piece(pieces[-1].text + text, same)
        else:
            pieces.append(Piece(text, same))
