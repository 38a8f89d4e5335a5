"""The tables `releases` (the lines, append-only) and `pointers` (the newest entry of each line)."""

import msgspec
from sqlalchemy import BigInteger, Column, Integer, Select, Table, Text, UniqueConstraint, insert, select, update
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.releases.model import Release
from tidegate.jobs.database import METADATA
from tidegate.live.snapshot import Arm, LiveRollout

__all__ = [
    "POINTERS",
    "RELEASES",
    "add",
    "current",
    "history",
    "last",
]

RELEASES = Table(
    "releases",
    METADATA,
    Column("release_id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Text),
    Column("previous_version", Text),
    Column("arms", Text, nullable=False),
    Column("trail", Text, nullable=False),
    Column("salt", Text, nullable=False),
    Column("commit_sha", Text, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("tag", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("config_revision", Integer),
    Column("rollout", Text),
    UniqueConstraint("environment", "prompt", "number", name="uq_releases_number"),
)

POINTERS = Table(
    "pointers",
    METADATA,
    Column("environment", Text, primary_key=True),
    Column("prompt", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("release_id", Text, nullable=False),
)


async def last(tx: AsyncConnection, prompt: str, environment: str) -> Release | None:
    """The newest release of the line, None when there is none."""
    query = _newest().where(POINTERS.c.prompt == prompt, POINTERS.c.environment == environment)
    row = (await tx.execute(query)).mappings().first()
    return _release(row) if row is not None else None


async def add(tx: AsyncConnection, release: Release) -> None:
    """Append to the line and move its pointer. The caller holds the turn, so that numbers have no hole."""
    values = msgspec.structs.asdict(release) | {
        "version": release.version,
        "arms": msgspec.json.encode(release.arms).decode(),
        "trail": msgspec.json.encode(release.trail).decode(),
        "rollout": msgspec.json.encode(release.rollout).decode() if release.rollout is not None else None,
    }
    await tx.execute(insert(RELEASES), values)
    at = {"number": release.number, "release_id": release.release_id}
    line = (POINTERS.c.environment == release.environment) & (POINTERS.c.prompt == release.prompt)
    moved = await tx.execute(update(POINTERS).where(line).values(at))
    if moved.rowcount == 0:
        place = {"environment": release.environment, "prompt": release.prompt}
        await tx.execute(insert(POINTERS), at | place)


async def current(
    tx: AsyncConnection, *, environment: str | None = None, prompt: str | None = None
) -> tuple[Release, ...]:
    """The newest release of every line, withdrawn ones too, sorted by prompt and environment."""
    query = _newest().order_by(POINTERS.c.prompt, POINTERS.c.environment)
    if environment is not None:
        query = query.where(POINTERS.c.environment == environment)
    if prompt is not None:
        query = query.where(POINTERS.c.prompt == prompt)
    return tuple(_release(row) for row in (await tx.execute(query)).mappings())


async def history(tx: AsyncConnection, prompt: str, environment: str, *, limit: int) -> tuple[Release, ...]:
    """The line, newest first."""
    query = (
        select(RELEASES)
        .where(RELEASES.c.prompt == prompt, RELEASES.c.environment == environment)
        .order_by(RELEASES.c.number.desc())
        .limit(limit)
    )
    return tuple(_release(row) for row in (await tx.execute(query)).mappings())


def _newest() -> Select[tuple[object, ...]]:
    return select(RELEASES).join(POINTERS, POINTERS.c.release_id == RELEASES.c.release_id)


def _release(row: RowMapping) -> Release:
    values = {name: row[name] for name in Release.__struct_fields__}
    values["arms"] = msgspec.json.decode(row["arms"], type=tuple[Arm, ...])
    values["trail"] = msgspec.json.decode(row["trail"], type=tuple[str, ...])
    values["rollout"] = msgspec.json.decode(row["rollout"], type=LiveRollout) if row["rollout"] is not None else None
    return Release(**values)
