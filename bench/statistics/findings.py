"""What a section found: goals with their figures, and tables. Also how it is shown."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Cell = str | int | float | bool | None
Rows = list[dict[str, Cell]]
Say = Callable[[str], None]

STANDARD_ERRORS = 3.0
"""A promise about chance is missed when the figure is so many of its standard errors beyond it."""


@dataclass(frozen=True)
class Scale:
    """How much is simulated: the whole, or a part of it."""

    share: float = 1.0

    def runs(self, whole: int, least: int = 20) -> int:
        """So many runs instead of `whole`."""
        return max(int(whole * self.share), min(least, whole))


@dataclass(frozen=True)
class Goal:
    """A figure beside what was wanted. `met` is None where the figure is unknown; `error` is the figure's standard
    error, where it is told.
    """

    what: str
    figure: float | None
    unit: str
    goal: str
    met: bool | None
    error: float | None = None

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "met", False: "missed", None: "unknown"}[self.met]


@dataclass(frozen=True)
class Found:
    """What one section found. `shown` holds shorter forms of tables, for reading; `notes` are sentences."""

    goals: Sequence[Goal]
    tables: Mapping[str, Rows]
    notes: Sequence[str] = ()
    shown: Mapping[str, Rows] = field(default_factory=dict)


def no_more(what: str, figure: float | None, bound: float, unit: str = "%", runs: int = 0) -> Goal:
    """The goal that a figure is at most a bound; with `runs`, that so many runs of a chance (in percent) of the bound
    may have given it.
    """
    if figure is None or math.isnan(figure):
        return Goal(what, None, unit, _bound("<=", bound, unit, runs), None)
    return Goal(what, figure, unit, _bound("<=", bound, unit, runs), figure <= bound + _room(bound, runs))


def no_less(what: str, figure: float | None, bound: float, unit: str = "%", runs: int = 0) -> Goal:
    """The goal that a figure is at least a bound; `runs` as in no_more."""
    if figure is None or math.isnan(figure):
        return Goal(what, None, unit, _bound(">=", bound, unit, runs), None)
    return Goal(what, figure, unit, _bound(">=", bound, unit, runs), figure >= bound - _room(bound, runs))


def likely(goal: Goal, happened: npt.ArrayLike) -> Goal:
    """The goal with the standard error of its figure, which is how often something happened."""
    return replace(goal, error=error_percent(happened))


def _bound(sign: str, bound: float, unit: str, runs: int) -> str:
    return f"{sign} {bound:g} {unit}".rstrip() + (" within chance" if runs else "")


def _room(bound: float, runs: int) -> float:
    return STANDARD_ERRORS * math.sqrt(bound * (100 - bound) / runs) if runs else 0.0


def percent(happened: npt.ArrayLike) -> float:
    """How often, in percent; NaN of none."""
    found = np.asarray(happened, dtype=np.float64)
    return 100 * float(found.mean()) if found.size else math.nan


def error_percent(happened: npt.ArrayLike) -> float:
    """The standard error of `percent`: that of independent runs; of none or all, as if one had been otherwise."""
    found = np.asarray(happened, dtype=np.float64)
    share = min(max(float(found.mean()), 1 / found.size), 1 - 1 / found.size)
    return 100 * math.sqrt(share * (1 - share) / found.size)


def told(found: Found) -> str:
    """A section's tables and notes as text."""
    parts = [f"{name}\n{table(found.shown.get(name, rows))}" for name, rows in found.tables.items()]
    return "\n\n".join([*parts, *found.notes])


def table(rows: Rows) -> str:
    """Rows as aligned columns, named by the keys of the first."""
    if not rows:
        return "  (nothing)"
    heads = list(rows[0])
    cells = [heads, *([_cell(row.get(head)) for head in heads] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(heads))]
    return "\n".join("  " + "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
                     for line in cells)  # fmt: skip


def summary(goals: Sequence[Goal]) -> str:
    """Each goal with its figure and whether it was met."""
    return table(
        [{"goal": one.what, "figure": _figure(one), "wanted": one.goal, "verdict": one.verdict} for one in goals]
    )


def plain(value: Any) -> Any:
    """A value for JSON: what is unknown or infinite is null, figures have six significant digits."""
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value


def stderr(text: str) -> None:
    """Progress."""
    print(text, file=sys.stderr, flush=True)


def _figure(goal: Goal) -> str:
    if goal.figure is None:
        return "unknown"
    error = "" if goal.error is None else f" +- {goal.error:.2g}"
    return f"{_cell(goal.figure)}{error} {goal.unit}".rstrip()


def _cell(value: Cell) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
