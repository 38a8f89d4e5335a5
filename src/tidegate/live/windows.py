"""Windows: the stretch of time that a limit counts over. Its name is part of the counter's key, so that a new window
begins at zero by itself and nothing is ever reset.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

__all__ = ["PERIODS", "Window", "window_at"]

PERIODS = ("minute", "hour", "day", "month")
ENDLESS_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


class Window(msgspec.Struct, frozen=True):
    """One window: its name, unique for its period and time zone, and its bounds in Unix ms, the end excluded."""

    name: str
    begins_at_ms: int
    ends_at_ms: int


def window_at(per: str, time_zone: str, now_ms: int) -> Window:
    """The window that holds `now_ms`. `per` is one of PERIODS, or empty: one window without end. Days and months begin
    at midnight of the time zone, also where its clocks are put on or back; minutes and hours are those of UTC.
    """
    if not per:
        return Window("always", 0, ENDLESS_MS)
    if per in ("minute", "hour"):
        length_ms = 60_000 if per == "minute" else 3_600_000
        begins = now_ms - now_ms % length_ms
        moment = datetime.fromtimestamp(begins / 1000, UTC)
        return Window(moment.strftime("%Y-%m-%dT%H:%MZ"), begins, begins + length_ms)
    zone = _zone(time_zone)
    today = datetime.fromtimestamp(now_ms / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if per == "day":
        first, after, name = today, today + timedelta(days=1), today.strftime("%Y-%m-%d")
    else:
        first = today.replace(day=1)
        after, name = (first + timedelta(days=32)).replace(day=1), first.strftime("%Y-%m")
    return Window(f"{name} {time_zone}", _ms(first), _ms(after))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
