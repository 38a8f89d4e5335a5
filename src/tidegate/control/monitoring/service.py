"""The verbs over call records and feedback: list, follow, show, read for experiments, find losses, keep retention."""

import asyncio
from math import ceil

from tidegate.control.monitoring import store
from tidegate.control.monitoring.exposures import Exposures, Past
from tidegate.control.monitoring.model import (
    HOUR_MS,
    CallFilter,
    CallPage,
    Gap,
    PairFilter,
    Pruned,
    decode_cursor,
    encode_cursor,
    next_cursor,
    starting_points,
    unborn_gaps,
)
from tidegate.control.monitoring.ports import Batches
from tidegate.control.policies.model import Retention
from tidegate.control.spend.model import CallTotals
from tidegate.jobs.database import Database
from tidegate.kernel.errors import Conflict, NotFound
from tidegate.live.calls import CallRecord

__all__ = ["Calls"]

BATCH = 5_000
BATCHES = 500
SHORT_ID = 6
DAY_MS = 24 * HOUR_MS
AIM = 0.9
"""Down to which part of its bound the size is brought, so that the next record does not need the next pruning."""


class Calls:
    """What happened, read back from the calls' store."""

    def __init__(self, db: Database, batches: Batches) -> None:
        self._db = db
        self._batches = batches
        self._counted: dict[str, tuple[int, int]] = {}

    async def unpack(self) -> int:
        """Bring what the gateways have left into the call log; return how many records there were. Every verb does it
        before it reads, so that a call that is over is seen at once.
        """
        count = 0
        while some := await self._batches.unpack():
            count += some
        return count

    async def list(self, wanted: CallFilter) -> list[CallRecord]:
        """The calls that match, newest first."""
        await self.unpack()
        async with self._db.read() as tx:
            return [*await store.calls(tx, wanted)]

    async def follow(self, wanted: CallFilter, cursor: str | None = None) -> CallPage:
        """Without a cursor: the newest calls that match, oldest first. With one: what was stored since, nothing twice.

        A gateway that has more than `wanted.limit` new calls gives the rest at the next poll.
        """
        await self.unpack()
        async with self._db.read() as tx:
            lives = await store.lives(tx)
            now_ms = await self._db.now_ms(tx)
            if cursor is None:
                newest = await store.calls(tx, wanted)
                return CallPage(newest[::-1], encode_cursor(next_cursor(lives, now_ms)))
            found: list[CallRecord] = []
            unfinished: dict[str, int] = {}
            for point in starting_points(decode_cursor(cursor), lives):
                some = await store.fresh(tx, wanted, point)
                found.extend(some)
                if len(some) == wanted.limit:
                    unfinished[point[0]] = some[-1].seq
        found.sort(key=lambda record: (record.started_at_ms, record.seq))
        return CallPage(tuple(found), encode_cursor(next_cursor(lives, now_ms, unfinished)))

    async def show(self, call_id: str) -> CallRecord:
        """One call, by its id or by 6 or more characters that only its id ends with. Raises NotFound, Conflict."""
        await self.unpack()
        async with self._db.read() as tx:
            found = await store.one(tx, call_id)
            alike = await store.ending_with(tx, call_id) if found is None and len(call_id) >= SHORT_ID else ()
        if len(alike) > 1:
            raise Conflict(
                f"The ids of more than one call end with {call_id!r}.",
                mend="Give more of it.",
                code="call_ambiguous",
            )
        found = alike[0] if alike else found
        if found is None:
            raise NotFound("call", call_id, mend="See `tidegate calls tail`; retention may have removed it.")
        return found

    async def pairs(self, wanted: PairFilter) -> tuple[tuple[CallRecord | None, CallRecord], ...]:
        """Users' calls (None: no longer there) and their copies, newest copy first."""
        await self.unpack()
        async with self._db.read() as tx:
            shadows = await store.shadows(tx, wanted)
            users = {call.call_id: call for call in await store.named(tx, [one.shadow_of or "" for one in shadows])}
        return tuple((users.get(one.shadow_of or ""), one) for one in shadows)

    async def totals(self, begins_at_ms: int, ends_at_ms: int) -> tuple[CallTotals, ...]:
        """See `control.spend.ports.CallLog`."""
        await self.unpack()
        async with self._db.read() as tx:
            return await store.totals(tx, begins_at_ms, ends_at_ms)

    async def exposures(self, experiment_id: str) -> Exposures:
        """Every call of an experiment that is still kept, and its scores. Raises Unavailable."""
        await self.unpack()
        async with self._db.read() as tx:
            return Exposures(await store.exposed(tx, experiment_id), await store.scores(tx, experiment_id))

    async def history(self, wanted: Past) -> Exposures:
        """The calls as they were without an experiment, and their scores. Raises Unavailable."""
        await self.unpack()
        async with self._db.read() as tx:
            found = await store.past(tx, wanted)
            said = await store.past_scores(tx, wanted) if found else []
        kept = {call.call_id for call in found}
        return Exposures(found, [score for score in said if score.call_id in kept])

    async def newest_ms(self) -> int | None:
        """When the newest call in the log started (Unix ms), None when it is empty. Raises Unavailable."""
        await self.unpack()
        async with self._db.read() as tx:
            return await store.newest_ms(tx)

    async def gaps(self, *, since_ms: int | None = None, limit: int = 100) -> tuple[Gap, ...]:
        """Records that were lost: holes in a gateway's numbers, newest first; `since_ms` None means 24 hours ago."""
        await self.unpack()
        async with self._db.read() as tx:
            if since_ms is None:
                since_ms = await self._db.now_ms(tx) - DAY_MS
            holes = await store.gaps(tx, since_ms=since_ms, limit=limit)
            lives = await store.lives(tx)
        unborn = [gap for gap in unborn_gaps(lives) if gap.before_ms >= since_ms]
        return tuple(sorted([*holes, *unborn], key=lambda gap: -gap.before_ms)[:limit])

    async def count_lost(self) -> int:
        """How many records were lost, of those that would be kept. Each count adds only what came since the last."""
        await self.unpack()
        async with self._db.read() as tx:
            lives = await store.lives(tx)
            for life in lives:
                seen, lost = self._counted.get(life.gateway_id, (life.first_seq - 1, 0))
                if life.last_seq > seen:
                    there = await store.count_between(tx, life.gateway_id, seen, life.last_seq)
                    self._counted[life.gateway_id] = (life.last_seq, lost + life.last_seq - seen - there)
        kept = {life.gateway_id for life in lives}
        self._counted = {gateway: counted for gateway, counted in self._counted.items() if gateway in kept}
        return sum(lost for _, lost in self._counted.values())

    async def prune(self, now_ms: int, retention: Retention) -> Pruned:
        """Keep retention: delete what is older than `calls_days`, then the oldest calls of more than `calls_max_mb`.

        Always a gateway's lowest numbers first, so that pruning never looks like a loss; in short transactions.
        """
        await self.unpack()
        horizon_ms = now_ms - retention.calls_days * DAY_MS
        by_age = await self._prune_before(horizon_ms)
        await self._prune_feedback(horizon_ms)
        edge_ms = await self._size_horizon(retention.calls_max_mb * 1024 * 1024)
        return Pruned(by_age, await self._prune_before(edge_ms) if edge_ms is not None else 0)

    async def _prune_feedback(self, horizon_ms: int) -> None:
        """Let go scores as old as calls may become, in short transactions."""
        async with self._db.read() as tx:
            if (oldest_ms := await store.oldest_feedback_ms(tx)) is None or oldest_ms >= horizon_ms:
                return
        for _ in range(BATCHES):
            async with self._db.write() as tx:
                gone = await store.delete_feedback(tx, horizon_ms, BATCH)
            if gone < BATCH:
                return
            await asyncio.sleep(0)

    async def _size_horizon(self, max_bytes: int) -> int | None:
        """The start before which calls must go for their size; None when all may stay."""
        async with self._db.read() as tx:
            used = await store.used_bytes(tx)
            if used <= max_bytes:
                return None
            surplus = ceil(await store.total(tx) * (1 - AIM * max_bytes / used))
            return await store.nth_oldest_ms(tx, surplus)

    async def _prune_before(self, horizon_ms: int) -> int:
        async with self._db.read() as tx:
            if (oldest_ms := await store.nth_oldest_ms(tx, 0)) is None or oldest_ms >= horizon_ms:
                return 0
            lives = await store.lives(tx)
        gone, batches = 0, BATCHES
        for life in lives:
            async with self._db.read() as tx:
                kept = await store.first_kept(tx, life.gateway_id, horizon_ms)
            end = kept if kept is not None else life.last_seq + 1
            for edge in range(life.first_seq, end, BATCH):
                if batches == 0:
                    return gone
                async with self._db.write() as tx:
                    gone += await store.delete_before(tx, life.gateway_id, min(edge + BATCH, end))
                batches -= 1
                await asyncio.sleep(0)
        return gone
