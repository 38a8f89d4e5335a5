"""Lengths of time as people write them: 90s, 5m, 1h, 7d, 2w."""

import re
from types import MappingProxyType
from typing import Final

__all__ = ["DURATION_PATTERN", "duration_text", "seconds_of"]

DURATION_PATTERN = r"^[0-9]{1,9}(s|m|h|d|w)$"

_SECONDS: Final = MappingProxyType({"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1})


def seconds_of(text: str) -> int | None:
    """Whole seconds; None for what is no length of time."""
    if not re.match(DURATION_PATTERN, text):
        return None
    return int(text[:-1]) * _SECONDS[text[-1]]


def duration_text(seconds: int) -> str:
    """The same in the largest unit that is exact: 5400 is 90m, 86400 is 1d, 604800 is 7d."""
    unit = next((unit for unit in ("d", "h", "m") if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"
