"""Feedback on PostgreSQL: a table beside `calls`."""

import asyncio
from collections.abc import Sequence

import asyncpg

from tidegate.adapters.postgres.records import ensure_calls_table
from tidegate.adapters.sql.feedback_table import feedback_rows
from tidegate.kernel.errors import Unavailable
from tidegate.live.feedback import Feedback

__all__ = ["PostgresFeedbacks"]

INSERT = "INSERT INTO feedback VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING"
CONNECT_S = 5.0
COMMAND_S = 10.0


class PostgresFeedbacks:
    """Fills `live.ports.Feedbacks` over one connection, opened when it is needed and again when it was lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None
        self._turn = asyncio.Lock()

    async def put(self, batch: Sequence[Feedback]) -> None:
        """See `live.ports.Feedbacks`."""
        async with self._turn:
            try:
                connection = await self._open()
                await connection.executemany(INSERT, feedback_rows(batch))  # one transaction
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                await self.close()
                raise Unavailable(
                    f"Feedback cannot be written to PostgreSQL: {error}.", mend="Check the server and database_url.",
                    code="feedback_unavailable",
                ) from error  # fmt: skip

    async def close(self) -> None:
        """See `live.ports.Feedbacks`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _open(self) -> "asyncpg.Connection[asyncpg.Record]":
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(self._url, timeout=CONNECT_S, command_timeout=COMMAND_S)
            await ensure_calls_table(self._connection)
        return self._connection
