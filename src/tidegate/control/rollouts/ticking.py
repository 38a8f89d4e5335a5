"""The leader's look at rollouts: what is known of each, and the one move that is due.

Evidence is gathered outside the transaction, the move is made inside one: under the lease's epoch, and only if the
rollout stands as it was seen. Whoever is faster, a person above all, wins; the next look sees what came of it.
"""

from collections.abc import Awaitable, Callable

import msgspec

from tidegate.control.evals import store as evals_store
from tidegate.control.identity.model import SYSTEM
from tidegate.control.prompts import store as prompts_store
from tidegate.control.releases import store as releases_store
from tidegate.control.rollouts import store
from tidegate.control.rollouts.chronicle import STAGING, Happened, moved_on
from tidegate.control.rollouts.model import Evidence, Move, Rollout
from tidegate.control.rollouts.ports import Observer
from tidegate.control.rollouts.step import moved, step
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.kernel.errors import Conflict

__all__ = ["Guard", "Ticking"]

Guard = Callable[[Tx], Awaitable[None]]
"""Raises Conflict (`lease_lost`) in a transaction whose writer no longer leads (`jobs.lease.Lease.guard`)."""

OVERTAKEN = "rollout_overtaken"
SETTLE = "settle"


class Ticking:
    """Looks, and makes the move that is due."""

    def __init__(self, db: Database, publish: Publish, observer: Observer) -> None:
        self._db = db
        self._publish = publish
        self._observer = observer

    async def round(self, guard: Guard) -> None:
        """Look once at every rollout; raises the first error, when all were seen."""
        async with self._db.read() as tx:
            live, copying = await store.live(tx), await store.copying(tx)
            now_ms = await self._db.now_ms(tx)
        first: Exception | None = None
        for one in live:
            try:
                await self._look(one, guard)
            except Exception as error:  # one that cannot be looked at must not hide the others
                first = first or error
        for one in copying:
            if now_ms - (one.ended_at_ms or 0) >= one.plan.shadow_after_s * 1000:
                await self._settle(one, guard)
        if first is not None:
            raise first

    async def evidence(self, rollout: Rollout) -> Evidence:
        """All that is known of a rollout now. Raises Unavailable when the call log is away and is needed."""
        async with self._db.read() as tx:
            now_ms = await self._db.now_ms(tx)
        asked = rollout.weight_bp or rollout.shadow_bp
        seen = await self._observer.observe(rollout, now_ms) if asked else Evidence(at_ms=now_ms)
        async with self._db.read() as tx:
            return await _completed(tx, rollout, seen)

    async def _look(self, rollout: Rollout, guard: Guard) -> None:
        evidence = await self.evidence(rollout)
        move = step(rollout, evidence)
        if move is not None:
            await self._make(rollout, move, evidence, guard)
            return
        async with self._db.read() as tx:
            before = await store.look(tx, rollout.rollout_id)
        if before is None or _tells_more(before, evidence):
            async with self._db.write() as tx:
                await guard(tx)
                await store.keep_look(tx, rollout.rollout_id, evidence)

    async def _make(self, seen: Rollout, move: Move, evidence: Evidence, guard: Guard) -> None:
        """Make a move, unless somebody was faster."""
        try:
            async with self._db.write() as tx:
                await guard(tx)
                at_ms = await self._db.now_ms(tx)
                await moved_on(tx, SYSTEM, seen, moved(seen, move, at_ms), Happened(move.kind, at_ms, evidence))
                await store.keep_look(tx, seen.rollout_id, evidence)
                await self._publish(tx)
        except Conflict as error:
            if error.code != OVERTAKEN:
                raise

    async def _settle(self, seen: Rollout, guard: Guard) -> None:
        """Copy nothing any more for a candidate that was rolled back."""
        after = msgspec.structs.replace(seen, shadow_bp=0, version=seen.version + 1, why="Its copies have ended.")
        try:
            async with self._db.write() as tx:
                await guard(tx)
                at_ms = await self._db.now_ms(tx)
                await moved_on(tx, SYSTEM, seen, after, Happened(SETTLE, at_ms))
                await self._publish(tx)
        except Conflict as error:
            if error.code != OVERTAKEN:
                raise


async def _completed(tx: Tx, rollout: Rollout, seen: Evidence) -> Evidence:
    """The evidence with what the database knows of the stage: evaluation, staging, drills, approvals."""
    kind, side = rollout.now_in.kind, rollout.candidate
    changes: dict[str, object] = {}
    if kind == "offline":
        kept = await prompts_store.find(tx, rollout.prompt, side.version)
        found = await evals_store.newest(tx, kept[0].content_hash, side.model or "") if kept is not None else None
        changes["offline"] = found.verdict.answer if found is not None else None
    if kind == "staging":
        last = await releases_store.last(tx, rollout.prompt, STAGING)
        changes["staged"] = last is not None and (last.version, last.model) == (side.version, side.model)
        walked = await store.drills(tx, rollout.prompt, version=side.version)
        changes["drilled"] = any(
            one.ok and one.environment == STAGING and one.at_ms >= rollout.started_at_ms for one in walked
        )
    if kind == "approval":
        changes["approvals"] = await store.approvals(tx, rollout)
    return msgspec.structs.replace(seen, **changes)


def _tells_more(before: Evidence, now: Evidence) -> bool:
    """Whether a look found anything but another time."""
    same = msgspec.structs.replace(now, at_ms=before.at_ms, split_p=before.split_p, verdict=before.verdict)
    return same != before
