"""In what figures are said: percent, points, times, or a unit before or after them; to the places that are known."""

import math
from typing import NamedTuple

from tidegate.kernel.figures import fixed_text, places_for, places_of

__all__ = ["NUMBER", "PERCENT", "POINTS", "SURE", "TIMES", "UNKNOWN", "Scale", "known", "mean_error"]

UNKNOWN = "not known yet"
SURE = 1.96
"""Half a 95% interval is so many standard errors."""
MORE_PLACES = 3
"""So many places more, at most, are shown for a bound to be told from no difference."""

_PLURALS = (" points", " times", " tokens")


class Scale(NamedTuple):
    """How one measure is said: figures times `factor`, between `before` and `after`; a difference ends in `apart`.
    `null` is no difference.
    """

    factor: float
    before: str
    after: str
    apart: str
    null: float = 0.0

    def level(self, value: float | None, error: float | None = None) -> str:
        """A value with its unit, to the places that its error (half an interval's width) allows, else three digits."""
        found = known(value, self.factor)
        if found is None:
            return UNKNOWN
        wide = known(error, self.factor)
        return self._dressed(found, places_of(found, 3) if wide is None else places_for(wide), self.after)

    def exact(self, value: float, *, apart: bool = False, digits: int = 6) -> str:
        """A figure that someone chose, as it was chosen: `3 points`, `1.5 times`."""
        found = known(value, self.factor)
        if found is None:
            return UNKNOWN
        return self._dressed(found, _chosen(found, digits), self.apart if apart else self.after)

    def cell(self, estimate: float | None, low: float | None, high: float | None) -> str:
        """An estimate and its interval for a table: `+3.1 points (+1.2 to +5.0)`, `1.8 times (1.3 to 2.5)`."""
        found = known(estimate, self.factor)
        if found is None:
            return UNKNOWN
        places = self.places(estimate, low, high)
        plus = "" if self.null else "+"
        interval = self._interval(known(low, self.factor), known(high, self.factor), places, plus)
        return f"{self._signed(found, places, plus, self.apart)}{interval}"

    def level_cell(self, value: float | None, low: float | None, high: float | None) -> str:
        """A value and its interval for a table: `2,310 ms (2,180 to 2,440)`."""
        found = known(value, self.factor)
        if found is None:
            return UNKNOWN
        places = self.places(value, low, high)
        interval = self._interval(known(low, self.factor), known(high, self.factor), places, "")
        return f"{self._dressed(found, places, self.after)}{interval}"

    def difference(self, value: float | None, digits: int) -> str:
        """A difference without an interval, with so many digits that count: `0.021 points`."""
        found = known(value, self.factor)
        return UNKNOWN if found is None else self._dressed(found, places_of(found, digits), self.apart)

    def apart_text(self, estimate: float | None, low: float | None, high: float | None, versus: str) -> str:
        """An estimate and its interval in a sentence: `3.1 points higher (1.2 to 5.0)`,
        `0.4 points lower (1.9 lower to 1.1 higher)`, `1.8 times control's (1.3 to 2.5)`.
        """
        found, least, most = (known(one, self.factor) for one in (estimate, low, high))
        if found is None:
            return UNKNOWN
        places = self.places(estimate, low, high)
        if self.null:
            return f"{fixed_text(found, places)} times {versus}'s{self._interval(least, most, places, '')}"
        way, other = ("lower", "higher") if found < 0 else ("higher", "lower")
        if found < 0:
            least, most = (None if one is None else -one for one in (most, least))
        if least is not None and most is not None and least < 0 < most:
            one, two = (self._dressed(end, self._clear(end, places), "") for end in (-least, most))
            bounds = f" ({one} {other} to {two} {way})"
        else:
            bounds = self._interval(least, most, places, "")
        if round(abs(found), places) == 0:
            return f"no different{bounds}"
        return f"{self._dressed(abs(found), places, self.apart)} {way}{bounds}"

    def places(self, estimate: float | None, low: float | None, high: float | None) -> int:
        """The places at which an estimate and its bounds are said: those of half its interval's width."""
        found, least, most = (known(one, self.factor) for one in (estimate, low, high))
        if found is None:
            return 0
        ends = [one for one in (least, most) if one is not None]
        error = (most - least) / 2 if least is not None and most is not None else abs(ends[0] - found) if ends else 0.0
        return places_for(error) if 0 < error < math.inf else places_of(found, 3)

    def _interval(self, low: float | None, high: float | None, places: int, plus: str) -> str:
        bounds = [None if one is None else self._signed(one, self._clear(one, places), plus, "") for one in (low, high)]
        if bounds == [None, None]:
            return ""
        if None in bounds:
            return f" ({bounds[1]} or less)" if bounds[0] is None else f" ({bounds[0]} or more)"
        return f" ({bounds[0]} to {bounds[1]})"

    def _clear(self, bound: float, places: int) -> int:
        """So many places that a bound beside no difference is told from it."""
        more = range(places, places + MORE_PLACES)
        return next((one for one in more if fixed_text(bound, one) != fixed_text(self.null, one)), places)

    def _signed(self, value: float, places: int, plus: str, after: str) -> str:
        text = self._dressed(value, places, after)
        return f"{plus}{text}" if value > 0 and fixed_text(value, places) != fixed_text(0, places) else text

    def _dressed(self, value: float, places: int, after: str) -> str:
        text = fixed_text(value, places)
        if text in ("1", "-1") and after in _PLURALS:
            after = after.removesuffix("s")
        return f"-{self.before}{text[1:]}{after}" if text.startswith("-") else f"{self.before}{text}{after}"


TIMES = Scale(1.0, "", " times", " times", 1.0)
PERCENT = Scale(100.0, "", "%", " points")
POINTS = Scale(100.0, "", " points", " points")
NUMBER = Scale(1.0, "", "", "")


def known(value: float | None, factor: float = 1.0) -> float | None:
    """The figure times the factor; None when it is unknown or not finite."""
    if value is None:
        return None
    found = value * factor
    return found if math.isfinite(found) else None


def _chosen(value: float, digits: int) -> int:
    """So many places that so many digits count, without zeros at the end."""
    most = max(places_of(value, digits), 0)
    text = fixed_text(value, most).partition(".")[2].rstrip("0")
    return min(most, len(text))


def mean_error(mean: float, n: float, sd: float | None, *, rate: bool) -> float | None:
    """Half a 95% interval of a mean of `n` units, roughly; a rate needs no `sd`. None when it cannot be told."""
    if n < 1:
        return None
    if rate and 0 <= mean <= 1:
        return max(SURE * math.sqrt(mean * (1 - mean) / n), 1 / n)
    wide = known(sd)
    return None if wide is None or wide <= 0 else SURE * wide / math.sqrt(n)
