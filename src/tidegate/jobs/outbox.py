"""Outbox: what must happen outside, written down in the transaction that decides it, done at least once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.jobs.database import METADATA, Database

__all__ = ["OUTBOX", "Errand", "Outbox", "backoff_ms", "enqueue"]

OUTBOX = sa.Table(
    "outbox",
    METADATA,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at_ms", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at_ms", sa.BigInteger, nullable=False),
    sa.Column("done_at_ms", sa.BigInteger),
    sa.Column("last_error", sa.Text),
    sa.Index("ix_outbox_waiting", "done_at_ms", "kind", "id"),
)

FIRST_BACKOFF_MS = 1_000
LONGEST_BACKOFF_MS = 5 * 60 * 1_000
TIMEOUT_S = 60.0
ERROR_CHARACTERS = 2_000

Handler = Callable[[dict[str, Any]], Awaitable[None]]


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be done outside. `last_error` is None until an attempt failed."""

    id: int
    at_ms: int
    kind: str
    payload: dict[str, Any]
    attempts: int
    next_at_ms: int
    last_error: str | None


async def enqueue(tx: AsyncConnection, *, at_ms: int, kind: str, payload: Mapping[str, object]) -> None:
    """Write an errand down in the transaction that decides it; errands of one kind keep their order."""
    following = sa.select(
        sa.func.coalesce(sa.func.max(OUTBOX.c.id), 0) + 1,
        sa.literal(at_ms, sa.BigInteger),
        sa.literal(kind, sa.Text),
        sa.literal(msgspec.json.encode(payload, order="deterministic").decode(), sa.Text),
        sa.literal(0, sa.Integer),
        sa.literal(at_ms, sa.BigInteger),
    )
    names = ["id", "at_ms", "kind", "payload", "attempts", "next_at_ms"]
    await tx.execute(sa.insert(OUTBOX).from_select(names, following))


def backoff_ms(attempts: int) -> int:
    """How long to wait after this many failed attempts (1, 2, ...): 1 s, doubling, at most 5 minutes."""
    doublings = min(attempts - 1, LONGEST_BACKOFF_MS.bit_length())
    return min(FIRST_BACKOFF_MS << doublings, LONGEST_BACKOFF_MS)


class Outbox:
    """Delivers errands, the oldest of each kind first. Run it in one process only: the leader.

    An errand that fails is tried again, ever more slowly and for ever, and those of its kind wait behind it:
    order is kept and nothing is lost. Kinds do not wait for each other. A process that dies between an act
    and its note repeats the act, so handlers must be fit to be repeated.
    """

    def __init__(self, db: Database, handlers: Mapping[str, Handler], *, timeout_s: float = TIMEOUT_S) -> None:
        self._db = db
        self._handlers = handlers
        self._timeout_s = timeout_s

    async def deliver(self, limit: int = 50) -> int:
        """Do what is due, at most `limit` of each kind, and return how many were done. Raises Unavailable."""
        async with self._db.read() as tx:
            now_ms = await self._db.now_ms(tx)
            found = await tx.execute(sa.select(OUTBOX.c.kind).where(OUTBOX.c.done_at_ms.is_(None)).distinct())
            kinds = sorted(found.scalars())
            queues = [await _waiting(tx, kind=kind, limit=limit) for kind in kinds]
        ends = await asyncio.gather(*(self._work_off(queue, now_ms) for queue in queues), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):  # the store is away; every queue has stopped by now
                raise end
        return sum(end for end in ends if isinstance(end, int))

    async def waiting(self, limit: int = 50) -> list[Errand]:
        """What is not done yet, oldest first: for people, and for readiness."""
        async with self._db.read() as tx:
            return await _waiting(tx, kind=None, limit=limit)

    async def prune(self, older_than_ms: int) -> int:
        """Forget errands that were done before this time; return how many."""
        async with self._db.write() as tx:
            newest = sa.select(sa.func.max(OUTBOX.c.id)).scalar_subquery()  # ids must go on counting from it
            old = sa.delete(OUTBOX).where(OUTBOX.c.done_at_ms < older_than_ms, OUTBOX.c.id < newest)
            return (await tx.execute(old)).rowcount

    async def _work_off(self, queue: list[Errand], now_ms: int) -> int:
        done = 0
        for errand in queue:
            if errand.next_at_ms > now_ms:
                break
            problem = await self._attempt(errand)
            await self._note(errand, problem)
            if problem is not None:
                break
            done += 1
        return done

    async def _attempt(self, errand: Errand) -> str | None:
        """Return None when it is done, else why not."""
        handler = self._handlers.get(errand.kind)
        if handler is None:
            return f"No handler is bound for errands of the kind {errand.kind!r}."
        try:
            async with asyncio.timeout(self._timeout_s):
                await handler(errand.payload)
        except TimeoutError:
            return f"It took longer than {self._timeout_s:g} s."
        except Exception as error:  # whatever a handler raises is kept as text, and the errand is tried again
            return f"{type(error).__name__}: {error}"[:ERROR_CHARACTERS]
        return None

    async def _note(self, errand: Errand, problem: str | None) -> None:
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            attempts = errand.attempts + 1
            values: dict[str, object] = {"attempts": attempts, "last_error": problem}
            if problem is None:
                values["done_at_ms"] = now_ms
            else:
                values["next_at_ms"] = now_ms + backoff_ms(attempts)
            await tx.execute(sa.update(OUTBOX).where(OUTBOX.c.id == errand.id).values(values))


async def _waiting(tx: AsyncConnection, *, kind: str | None, limit: int) -> list[Errand]:
    query = sa.select(OUTBOX).where(OUTBOX.c.done_at_ms.is_(None)).order_by(OUTBOX.c.id).limit(limit)
    if kind is not None:
        query = query.where(OUTBOX.c.kind == kind)
    return [
        Errand(
            id=row.id,
            at_ms=row.at_ms,
            kind=row.kind,
            payload=msgspec.json.decode(row.payload),
            attempts=row.attempts,
            next_at_ms=row.next_at_ms,
            last_error=row.last_error,
        )
        for row in (await tx.execute(query)).all()
    ]
