"""Lease: one holder at a time, by the database's time; a growing epoch keeps a stale holder from writing."""

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.jobs.database import METADATA, Database
from tidegate.kernel.errors import Conflict

__all__ = ["LEASES", "Lease", "living_holders"]

LEASES = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("expires_at_ms", sa.BigInteger, nullable=False),
)


class Lease:
    """The right to be the one that does `name`, for `ttl_ms` at a time.

    `holder` must name one life of one process (`new_id("control")`). Acquire, renew a few times in each ttl,
    and guard every write with the epoch: a holder that slept past its ttl finds out before it does harm.
    """

    def __init__(self, db: Database, name: str, holder: str, ttl_ms: int) -> None:
        self._db = db
        self._name = name
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._mine = (LEASES.c.name == name) & (LEASES.c.holder == holder)

    async def acquire(self) -> int | None:
        """Return the epoch if the lease is ours now, None while another holds it. Raises Unavailable.

        A lease that changes hands, or that its holder let expire, gets the next epoch; holding on keeps it.
        """
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            query = sa.select(LEASES).where(LEASES.c.name == self._name)
            row = (await tx.execute(query)).one_or_none()
            living = row is not None and row.expires_at_ms > now_ms
            if row is not None and living and row.holder != self._holder:
                return None
            epoch = 1 if row is None else row.epoch if living else row.epoch + 1
            values = {"holder": self._holder, "epoch": epoch, "expires_at_ms": now_ms + self._ttl_ms}
            if row is None:
                await tx.execute(sa.insert(LEASES).values(name=self._name, **values))
            else:
                await tx.execute(sa.update(LEASES).where(LEASES.c.name == self._name).values(values))
            return int(epoch)

    async def renew(self, epoch: int) -> bool:
        """Hold on for another ttl; False when the lease was taken over or released. Raises Unavailable."""
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            change = sa.update(LEASES).where(self._mine, LEASES.c.epoch == epoch, LEASES.c.expires_at_ms > 0)
            result = await tx.execute(change.values(expires_at_ms=now_ms + self._ttl_ms))
            return result.rowcount == 1

    async def release(self, epoch: int) -> None:
        """Let go at once, so that the next holder need not wait; nothing happens if it was lost before."""
        async with self._db.write() as tx:
            change = sa.update(LEASES).where(self._mine, LEASES.c.epoch == epoch)
            await tx.execute(change.values(expires_at_ms=0))

    async def guard(self, tx: AsyncConnection, epoch: int) -> None:
        """Call inside the transaction that acts as the holder: raises Conflict when the epoch is stale.

        From here to the commit nobody can take the lease over.
        """
        query = sa.select(LEASES.c.epoch).where(self._mine, LEASES.c.expires_at_ms > 0).with_for_update()
        found = (await tx.execute(query)).scalar_one_or_none()
        if found != epoch:
            raise Conflict(
                f"{self._holder} no longer holds the lease {self._name!r} of epoch {epoch}.",
                mend="Another process has taken over: stop acting, and acquire the lease again.",
                code="lease_lost",
            )


async def living_holders(tx: AsyncConnection, now_ms: int) -> dict[str, str]:
    """Who holds which lease now: lease name -> holder."""
    rows = await tx.execute(sa.select(LEASES.c.name, LEASES.c.holder).where(LEASES.c.expires_at_ms > now_ms))
    return {row.name: row.holder for row in rows.all()}
