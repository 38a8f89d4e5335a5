"""How figures are said to people: rates as percentages, differences in points, p-values, whole numbers, and no more
digits than are known.
"""

import math
from typing import SupportsFloat

__all__ = [
    "about_text",
    "count_text",
    "fixed_text",
    "level_text",
    "number_text",
    "p_text",
    "percent_text",
    "places_for",
    "places_of",
    "points_text",
    "span_text",
]

SMALL_P = 1e-4
MOST_PLACES = 9
TWO_DIGITS_BELOW = 3.55
"""An error of 0.12 or 0.35 is said with two digits, one of 0.36 or 0.9 with one."""


def p_text(p: SupportsFloat) -> str:
    """`p = 0.029`, `p < 0.0001`; two digits that count, three near 0.05; `p unknown`."""
    found = float(p)
    if not math.isfinite(found):
        return "p unknown"
    if found < SMALL_P:
        return f"p < {SMALL_P:.4f}"
    if found >= 0.1:
        return f"p = {found:.2f}"
    return f"p = {found:.3g}" if 0.045 <= found < 0.055 else f"p = {found:.2g}"


def percent_text(rate: SupportsFloat) -> str:
    """`9.0%`; more places for a rate below 1%; `-` for what is unknown."""
    found = float(rate) * 100
    if not math.isfinite(found):
        return "-" if math.isnan(found) else f"{found}"
    return f"{found:.1f}%" if found == 0 or abs(found) >= 0.995 else f"{found:.2g}%"


def level_text(level: float) -> str:
    """`95%`, `99.9%`; `-` for what is unknown."""
    return f"{level * 100:.6g}%" if math.isfinite(level * 100) else "-"


def points_text(difference: SupportsFloat) -> str:
    """A difference of rates in percentage points: `3.0`, `-0.04`; `-` for what is unknown."""
    return percent_text(difference).rstrip("%")


def number_text(value: SupportsFloat) -> str:
    """A number with four digits that count, without an exponent where it can be."""
    found = float(value)
    if math.isnan(found):
        return "-"
    if math.isinf(found):
        return "infinite" if found > 0 else "-infinite"
    return f"{found:,.0f}" if 1e4 <= abs(found) < 1e15 else f"{found:.4g}"


def count_text(value: SupportsFloat) -> str:
    """`14,745`."""
    return f"{float(value):,.0f}"


def span_text(low: str, high: str) -> str:
    """`0.3 to 5.7`."""
    return f"{low} to {high}"


def about_text(value: SupportsFloat) -> str:
    """A whole number that is itself an estimate, with two digits that count: `4,200`."""
    found = float(value)
    return "unknown" if not math.isfinite(found) else fixed_text(found, min(places_of(found, 2), 0))


def places_for(error: float) -> int:
    """How many places after the point (negative: zeros before it) a figure with this error, half an interval's width,
    is known to: those of the error's first digit, or of its second when the first is small (to 0.35, 3.5, 35).
    """
    if not math.isfinite(error) or error <= 10.0**-MOST_PLACES:
        return MOST_PLACES
    exponent = math.floor(math.log10(error))
    digits = 1 if error / 10.0**exponent < TWO_DIGITS_BELOW else 0
    return max(-MOST_PLACES, min(digits - exponent, MOST_PLACES))


def places_of(value: float, digits: int) -> int:
    """The places at which a figure has so many digits that count."""
    size = abs(value)
    if not math.isfinite(size) or size <= 10.0**-MOST_PLACES:
        return 0 if size == 0 else MOST_PLACES
    return max(-MOST_PLACES, min(digits - 1 - math.floor(math.log10(size)), MOST_PLACES))


def fixed_text(value: float, places: int) -> str:
    """A finite number rounded to `places`, with commas: `1,204.5`; never `-0`."""
    if abs(value) >= 1e15:
        return f"{value:.3g}"
    rounded = round(value, places)
    return f"{0.0 if rounded == 0 else rounded:,.{max(places, 0)}f}"
