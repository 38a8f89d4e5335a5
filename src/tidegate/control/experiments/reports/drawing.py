"""Drawing by hand in SVG: axes with round figures, marks told apart by shape and not only by colour, and words."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tidegate.control.experiments.reports.blocks import Grid
from tidegate.kernel.figures import fixed_text
from tidegate.kernel.markup import Markup, tag, text

__all__ = ["WIDTH", "Picture", "Span", "mark", "picture", "short", "span_of", "ticks", "write"]

WIDTH = 360.0
"""The width of every picture, in units in which letters are 12 high."""

LETTER = 6.4
"""The width of a letter, about."""


class Picture(NamedTuple):
    """A drawing, what it shows, and the figures behind it (None: they stand in a table beside it)."""

    caption: str
    drawing: Markup
    grid: Grid | None = None


class Span(NamedTuple):
    """An axis: figures from `low` to `high` on places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a figure; figures outside are at the ends."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def span_of(values: Iterable[float | None], start: float, end: float) -> Span | None:
    """An axis on which all these figures lie, with a little room; None when there is none, or they span too much."""
    found = [one for one in values if one is not None and math.isfinite(one)]
    if not found:
        return None
    low, high = min(found), max(found)
    room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    low, high = low - room, high + room
    return Span(low, high, start, end) if 0 < high - low < math.inf else None


def ticks(span: Span, most: int = 5) -> list[tuple[float, str]]:
    """Round figures on an axis, as few as told, and how they are written."""
    width = span.high - span.low
    raw = width / most
    if raw < 1e-9 or width > 1e15 or max(abs(span.low), abs(span.high)) > 1e6 * width:
        return []
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * one for one in (1, 2, 5, 10, 20) if width / (base * one) <= most)
    places = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(span.low / step), math.floor(span.high / step)
    return [(number * step, fixed_text(number * step, places)) for number in range(first, last + 1)]


def picture(key: str, title: str, told: str, height: float, parts: Sequence[Markup]) -> Markup:
    """A drawing with its title and what is told of it, for those who do not see it. `key` is its own on a page."""
    return tag(
        "svg",
        tag("title", text(title), id=f"{key}-title"),
        tag("desc", text(told), id=f"{key}-told"),
        *parts,
        viewBox=f"0 0 {WIDTH:.0f} {height:.0f}",
        role="img",
        aria_labelledby=f"{key}-title {key}-told",
    )


def write(x: float, y: float, words: str, side: str = "start", class_: str = "") -> Markup:
    """Words at a place; `side` says which end of them is there: start, middle or end."""
    return tag("text", text(words), x=x, y=y, text_anchor=side, class_=class_ or "words")


def short(words: str, width: float) -> str:
    """Words cut to about this width, with an ellipsis."""
    most = max(int(width / LETTER), 4)
    return words if len(words) <= most else f"{words[: most - 1]}…"


def mark(state: str, x: float, y: float) -> Markup:
    """The mark of a state at a place: a full triangle for what is good, a full square on its corner for what is bad, an
    empty ring for what is not known.
    """
    return _MARKS.get(state, _ring)(x, y)


def _triangle(x: float, y: float) -> Markup:
    return tag(
        "polygon", points=f"{x:.1f},{y - 6.5:.1f} {x + 6.5:.1f},{y + 5:.1f} {x - 6.5:.1f},{y + 5:.1f}", class_="good"
    )


def _diamond(x: float, y: float) -> Markup:
    corners = f"{x:.1f},{y - 6.5:.1f} {x + 6.5:.1f},{y:.1f} {x:.1f},{y + 6.5:.1f} {x - 6.5:.1f},{y:.1f}"
    return tag("polygon", points=corners, class_="bad")


def _ring(x: float, y: float) -> Markup:
    return tag("circle", cx=x, cy=y, r=5.0, class_="open")


_MARKS: dict[str, Callable[[float, float], Markup]] = {
    "wins": _triangle, "holds": _triangle, "loses": _diamond, "breached": _diamond, "open": _ring,
}  # fmt: skip
