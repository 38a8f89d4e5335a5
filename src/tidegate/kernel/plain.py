"""Plain words: names from outside made safe to print, units in singular and plural, lists, times and days."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from tidegate.kernel.figures import fixed_text, places_of

__all__ = ["count_of", "date_text", "days_text", "joined", "plain", "plural", "singular", "time_text"]

DAY_S = 86_400
_STEPS = ((DAY_S, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_YEAR_9999_MS = 253_402_300_799_000


def plain(text: str) -> str:
    """Text from outside on one line: what cannot be printed is a space, spaces are one; `(unnamed)` when none is
    left.
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split()) or "(unnamed)"


def singular(unit: str) -> str:
    """What one unit of an experiment is called: `user`, `request`, and `session` for `tag:session`."""
    return plain(unit.removeprefix("tag:"))


def plural(unit: str) -> str:
    """Many of them: `users`, `queries`."""
    one = singular(unit)
    if one.endswith("y") and one[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return f"{one[:-1]}ies"
    return f"{one}es" if one.endswith(("s", "x", "ch", "sh")) else f"{one}s"


def count_of(count: int, unit: str) -> str:
    """`1 user`, `14,745 users`."""
    return f"{count:,} {singular(unit) if count == 1 else plural(unit)}"


def joined(parts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return f" {last} ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def time_text(seconds: float) -> str:
    """A time in the largest unit in which it is whole: `90 seconds`, `5 minutes`, `7 days`."""
    whole = round(seconds) if math.isfinite(seconds) else 0
    size, unit = next((step for step in _STEPS if whole and whole % step[0] == 0), _STEPS[-1])
    return count_of(whole // size, unit)


def days_text(days: float | None) -> str:
    """About how long: `3 hours`, `1.5 days`, `12 days`, `3 years`; `an unknown time`."""
    if days is None or not math.isfinite(days) or days < 0:
        return "an unknown time"
    if days < 1 / 1440:
        return "less than a minute"
    if days >= 1000:
        return f"{fixed_text(days / 365.25, min(places_of(days / 365.25, 2), 0))} years"
    number, unit = (days, "day") if days >= 1 else (days * 24, "hour") if days * 24 >= 1 else (days * 1440, "minute")
    text = fixed_text(number, 1 if number < 3 else 0).removesuffix(".0")
    return f"{text} {unit if text == '1' else plural(unit)}"


def date_text(at_ms: int | None) -> str:
    """`2026-11-24 06:05 UTC` of a Unix time in ms; `unknown`."""
    if at_ms is None or not 0 <= at_ms <= _YEAR_9999_MS:
        return "unknown"
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
