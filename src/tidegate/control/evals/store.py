"""The table `eval_verdicts`: what evaluations found of versions, by what the versions say."""

import msgspec
from sqlalchemy import BigInteger, Column, Index, Table, Text, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.evals.model import Recorded, Verdict
from tidegate.jobs.database import METADATA

__all__ = ["VERDICTS", "add", "newest", "recorded"]

VERDICTS = Table(
    "eval_verdicts",
    METADATA,
    Column("eval_id", Text, primary_key=True),
    Column("prompt", Text),
    Column("version", Text),
    Column("content_hash", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("verdict", Text, nullable=False),
    Index("ix_eval_verdicts_content_hash", "content_hash", "at_ms"),
)

_NEWEST_FIRST = (VERDICTS.c.at_ms.desc(), VERDICTS.c.eval_id.desc())


async def add(tx: AsyncConnection, one: Recorded) -> None:
    """Append a verdict."""
    verdict = one.verdict
    values = {
        "eval_id": one.eval_id,
        "prompt": verdict.prompt,
        "version": verdict.version,
        "content_hash": verdict.content_hash,
        "model": verdict.model,
        "answer": verdict.answer,
        "actor": one.actor,
        "at_ms": one.at_ms,
        "verdict": msgspec.json.encode(verdict).decode(),
    }
    await tx.execute(insert(VERDICTS).values(values))


async def newest(tx: AsyncConnection, content_hash: str, model: str = "") -> Recorded | None:
    """The newest verdict on what a version says, asked of this model (empty: its own); None when there is none."""
    query = select(VERDICTS).where(VERDICTS.c.content_hash == content_hash, VERDICTS.c.model == model)
    row = (await tx.execute(query.order_by(*_NEWEST_FIRST).limit(1))).mappings().first()
    return _recorded(dict(row)) if row is not None else None


async def recorded(
    tx: AsyncConnection,
    *,
    prompt: str | None = None,
    version: str | None = None,
    content_hash: str | None = None,
    limit: int,
) -> tuple[Recorded, ...]:
    """Verdicts, newest first."""
    query = select(VERDICTS).order_by(*_NEWEST_FIRST).limit(limit)
    wanted = ((VERDICTS.c.prompt, prompt), (VERDICTS.c.version, version), (VERDICTS.c.content_hash, content_hash))
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    return tuple(_recorded(dict(row)) for row in (await tx.execute(query)).mappings())


def _recorded(row: dict[str, str]) -> Recorded:
    verdict = msgspec.json.decode(row["verdict"], type=Verdict)
    return Recorded(eval_id=row["eval_id"], actor=row["actor"], at_ms=int(row["at_ms"]), verdict=verdict)
