"""The verb that draws cases from calls. What was said leaves control redacted, and only after it was written down who
reads it.
"""

import asyncio
from typing import Any

import msgspec

from tidegate.control.evals.growing import store
from tidegate.control.evals.growing.model import Drawn, DrawnCase, Wanted
from tidegate.control.evals.growing.redaction import redacted
from tidegate.control.evals.online.exchange import exchange_of
from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.monitoring.ports import ContentStore
from tidegate.control.monitoring.service import Calls
from tidegate.jobs.database import Database
from tidegate.live.ports import Content

__all__ = ["Drawing"]

READ = "content.read"
PAGE = 400
PAGES = 250


class _Found(msgspec.Struct, frozen=True):
    call_id: str
    at_ms: int
    environment: str
    prompt: str | None
    version: str | None
    scores: dict[str, float]


class Drawing:
    """Reads the call log, and the content of the calls that are meant."""

    def __init__(self, db: Database, calls_db: Database, calls: Calls, contents: ContentStore) -> None:
        self._db = db
        self._calls_db = calls_db
        self._calls = calls
        self._contents = contents

    async def draw(self, actor: Actor, wanted: Wanted) -> Drawn:
        """The newest kept calls that match, as cases. Raises Forbidden, and Invalid when the master key of what is kept
        is not here.
        """
        actor.require(READ)
        found, looked_at, left_out = await self._find(wanted)
        if found:
            await self._note(actor, wanted, found)
        cases: list[DrawnCase] = []
        redactions: dict[str, int] = {}
        for one in found:
            content = await self._contents.get(one.call_id)
            case = _case(one, content, answers=wanted.answers) if content is not None else None
            if case is None:
                left_out["unreadable"] = left_out.get("unreadable", 0) + 1
                continue
            plain = await asyncio.to_thread(redacted, msgspec.to_builtins(case))
            for kind, count in plain.counts.items():
                redactions[kind] = redactions.get(kind, 0) + count
            cases.append(msgspec.convert(plain.value, DrawnCase))
        return Drawn(cases=tuple(cases), redactions=redactions, looked_at=looked_at, left_out=left_out)

    async def _find(self, wanted: Wanted) -> tuple[list[_Found], int, dict[str, int]]:
        """The calls to read, how many were looked at, and why others are left out."""
        await self._calls.unpack()
        found: list[_Found] = []
        left_out: dict[str, int] = {}
        looked_at = 0
        before: tuple[int, str] | None = None
        for _ in range(PAGES):
            async with self._calls_db.read() as tx:
                rows = await store.candidates(tx, wanted, before, PAGE)
                said = await store.scores(tx, [row.call_id for row in rows]) if rows else {}
            kept = await self._contents.kept([row.call_id for row in rows]) if rows else frozenset()
            for row in rows:
                looked_at += 1
                scores = said.get(row.call_id, {})
                why = _left_out(row.call_id in kept, scores, wanted)
                if why:
                    left_out[why] = left_out.get(why, 0) + 1
                    continue
                found.append(
                    _Found(
                        row.call_id, row.started_at_ms, row.environment or "", row.prompt, row.prompt_version, scores
                    )
                )
                if len(found) == wanted.limit:
                    return found, looked_at, left_out
            if len(rows) < PAGE:
                break
            before = (rows[-1].started_at_ms, rows[-1].call_id)
        return found, looked_at, left_out

    async def _note(self, actor: Actor, wanted: Wanted, found: list[_Found]) -> None:
        asked: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(wanted).items() if value}
        diff = {"calls": len(found), "for": "dataset", "wanted": asked, "call_ids": [one.call_id for one in found]}
        async with self._db.write() as tx:
            now_ms = await self._db.now_ms(tx)
            await add_audit(tx, at_ms=now_ms, actor=actor, action=READ, subject="calls/dataset", diff=diff)


def _left_out(kept: bool, scores: dict[str, float], wanted: Wanted) -> str:
    """Why a call is not drawn; empty when it is."""
    for one in wanted.scores:
        if one.name not in scores:
            return "no_score"
        if not one.holds(scores[one.name]):
            return "other_score"
    return "" if kept else "not_kept"


def _case(one: _Found, content: Content, *, answers: bool) -> DrawnCase | None:
    exchange = exchange_of(content)
    if exchange is None:
        return None
    variables = exchange.settings.get("variables")
    known = variables if isinstance(variables, dict) else None
    return DrawnCase(
        call_id=one.call_id,
        at_ms=one.at_ms,
        environment=one.environment,
        prompt=one.prompt,
        version=one.version,
        variables=known,
        messages=() if known is not None else exchange.messages,
        given=None if known is not None else exchange.given,
        answer=exchange.answer if answers else None,
        scores=one.scores,
    )
