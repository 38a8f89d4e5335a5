"""How `tidegate stats` writes its figures: rates as percentages, differences in points, p-values, whole numbers."""

import math
from typing import SupportsFloat

__all__ = ["count_text", "level_text", "number_text", "p_text", "percent_text", "points_text", "span_text"]

SMALL_P = 1e-4


def p_text(p: SupportsFloat) -> str:
    """`p = 0.029`, `p < 0.0001`; two digits that count, three near 0.05."""
    found = float(p)
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
    """`95%`, `99.9%`."""
    return f"{level * 100:.6g}%"


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
