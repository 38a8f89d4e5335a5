"""The verbs over what was said in calls: read one, erase a person's, seal anew, let go what is over."""

import asyncio
from typing import Any

import msgspec

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.monitoring.model import CallContent, Erasure
from tidegate.control.monitoring.ports import ContentStore
from tidegate.control.monitoring.service import Calls
from tidegate.jobs.database import Database
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.live.contents import Resealed

__all__ = ["KeptContents"]

READ = "content.read"
ERASE = "content.erase"
RESEAL = "secret.manage"
BATCH = 500
BATCHES = 200
RESEAL_BATCH = 20
RESEAL_BATCHES = 10
MAX_SUBJECT = 256


class KeptContents:
    """Whoever reads content, or has it erased, is written down before it is done."""

    def __init__(self, db: Database, calls: Calls, contents: ContentStore) -> None:
        self._db = db
        self._calls = calls
        self._contents = contents

    async def show(self, actor: Actor, call_id: str) -> CallContent:
        """What was said in the call with this id, or whose id ends so. Raises NotFound when it was not kept, is over or
        erased; Invalid when its master key is not here.
        """
        actor.require(READ)
        found = await self._contents.get(call_id)
        if found is None:
            call_id = (await self._calls.show(call_id)).call_id
            found = await self._contents.get(call_id)
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            if found is None or found.expires_at_ms <= now_ms:
                raise NotFound(
                    "content",
                    call_id,
                    mend="Content is kept only of routes with `content.percent`, and only so long; see content.md.",
                )
            diff = {"route": found.route, "endpoint": found.endpoint}
            subject = f"calls/{found.call_id}"
            await add_audit(tx, at_ms=now_ms, actor=actor, action=READ, subject=subject, diff=diff)
        return CallContent(
            call_id=found.call_id,
            at_ms=found.at_ms,
            expires_at_ms=found.expires_at_ms,
            route=found.route,
            endpoint=found.endpoint,
            request=_plain(found.request),
            answer=_plain(found.answer),
            subject=found.subject,
            shadow_of=found.shadow_of,
        )

    async def erase(self, actor: Actor, subject: str) -> Erasure:
        """Erase everything that was kept of this subject, and the copies for candidates that belong to it. The audit
        names a keyed hash. What is under way just now may still come after; then erase once more.
        """
        actor.require(ERASE)
        if not 0 < len(subject) <= MAX_SUBJECT:
            raise Invalid(
                f"A subject has 1 to {MAX_SUBJECT} characters.",
                mend="Give what applications send as x-tidegate-unit, or as `user`.",
                param="subject",
            )
        async with self._db.write() as tx:
            gone = await self._contents.erase(subject)
            now_ms = await self._db.now_ms(tx)
            diff = {"erased": gone.erased, "unchecked": gone.unchecked}
            about = f"subjects/{gone.subject_hash}"
            await add_audit(tx, at_ms=now_ms, actor=actor, action=ERASE, subject=about, diff=diff)
        return Erasure(
            subject_hash=gone.subject_hash, erased=gone.erased, unchecked=gone.unchecked, erased_at_ms=now_ms
        )

    async def reseal(self, actor: Actor, after: str = "") -> Resealed:
        """Seal content anew under the current master key: some of it at a call; go on from `next`. Rows that gateways
        still write under the old key come after; then begin once more.
        """
        actor.require(RESEAL)
        resealed = unopened = 0
        upto: str | None = after
        for _ in range(RESEAL_BATCHES):
            some = await self._contents.reseal(upto or "", RESEAL_BATCH)
            resealed, unopened, upto = resealed + some.resealed, unopened + some.unopened, some.next
            if upto is None:
                break
        if resealed:
            async with self._db.write() as tx:
                now_ms = await self._db.now_ms(tx)
                diff = {"resealed": resealed, "unopened": unopened}
                await add_audit(tx, at_ms=now_ms, actor=actor, action="content.reseal", subject="contents", diff=diff)
        return Resealed(resealed=resealed, unopened=unopened, next=upto)

    async def prune(self, now_ms: int) -> int:
        """Let go what has expired, in short transactions; return how many went."""
        gone = 0
        for _ in range(BATCHES):
            some = await self._contents.prune(now_ms, BATCH)
            gone += some
            if some < BATCH:
                break
            await asyncio.sleep(0)
        return gone


def _plain(said: bytes) -> Any:
    """JSON as values; anything else (server-sent events) as text."""
    try:
        return msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return said.decode(errors="replace")
