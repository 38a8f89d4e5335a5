"""The shared counters as control sees them: opened when they are first asked for, told by the settings alone."""

import hashlib
from collections.abc import Callable, Sequence

from tidegate.adapters.sqlite.counters import SqliteCounters
from tidegate.control.spend.ports import Spending
from tidegate.live.births import Birth
from tidegate.live.counting import Counted
from tidegate.settings import Settings

__all__ = ["SpendingOnDemand", "open_spending", "store_name"]


def open_spending(settings: Settings) -> Spending:
    """The store of the workspace's counters, the same that its gateways use."""
    if settings.redis_url:
        from tidegate.adapters.redis.counters import RedisCounters  # noqa: PLC0415  # lazy: costs memory

        return RedisCounters(settings.redis_url)
    if settings.is_postgres:
        from tidegate.adapters.postgres.counters import PostgresCounters  # noqa: PLC0415  # lazy: costs memory

        return PostgresCounters(settings.database_url)
    return SqliteCounters(settings.counters_db_file)


def store_name(settings: Settings) -> str:
    """What the store is remembered by, so that a new one is known to be new; never its address, which may be secret."""
    if settings.redis_url:
        return f"redis:{hashlib.sha256(settings.redis_url.encode()).hexdigest()[:16]}"
    return "postgresql" if settings.is_postgres else "sqlite"


class SpendingOnDemand:
    """Fills `control.spend.ports.Spending`, over a store that is opened at the first question."""

    def __init__(self, opening: Callable[[], Spending]) -> None:
        self._opening = opening
        self._opened: Spending | None = None

    async def standings(self) -> Sequence[Counted]:
        """See `Spending`."""
        return await self._spending.standings()

    async def rebuild(self, counted: Sequence[Counted]) -> None:
        """See `Spending`."""
        await self._spending.rebuild(counted)

    async def birth(self) -> Birth | None:
        """See `Spending`."""
        return await self._spending.birth()

    async def lose(self) -> None:
        """See `Spending`."""
        await self._spending.lose()

    async def close(self) -> None:
        """Give back connections and threads."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    @property
    def _spending(self) -> Spending:
        if self._opened is None:
            self._opened = self._opening()
        return self._opened
