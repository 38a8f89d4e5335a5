"""The table `prompt_versions`: versions that were released once, kept whole, so that they outlive their file in Git."""

from collections.abc import Collection

import msgspec
from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text, insert, select, tuple_
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.prompts.model import Registration
from tidegate.jobs.database import METADATA
from tidegate.live.snapshot import PromptVersion

__all__ = ["PROMPT_VERSIONS", "add", "find", "load", "registrations"]

PROMPT_VERSIONS = Table(
    "prompt_versions",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("content_hash", Text, nullable=False),
    Column("commit_sha", Text, nullable=False),
    Column("blob", LargeBinary, nullable=False),
    Column("registered_at_ms", BigInteger, nullable=False),
    Column("registered_by", Text, nullable=False),
)
_BATCH = 500


async def add(tx: AsyncConnection, registration: Registration, version: PromptVersion) -> None:
    """Keep a version; there must be none of this name and number yet."""
    values = msgspec.structs.asdict(registration) | {"blob": msgspec.json.encode(version)}
    await tx.execute(insert(PROMPT_VERSIONS).values(values))


async def find(tx: AsyncConnection, name: str, version: str) -> tuple[Registration, PromptVersion] | None:
    """A kept version with its registration, None when it was never registered."""
    query = select(PROMPT_VERSIONS).where(PROMPT_VERSIONS.c.name == name, PROMPT_VERSIONS.c.version == version)
    row = (await tx.execute(query)).mappings().first()
    return None if row is None else (_registration(row), _version(row["blob"]))


async def load(tx: AsyncConnection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], PromptVersion]:
    """The kept versions of these (name, version) pairs; a pair that was never registered is left out."""
    columns = (PROMPT_VERSIONS.c.name, PROMPT_VERSIONS.c.version, PROMPT_VERSIONS.c.blob)
    pairs = sorted(wanted)
    found: dict[tuple[str, str], PromptVersion] = {}
    for start in range(0, len(pairs), _BATCH):
        some = tuple_(PROMPT_VERSIONS.c.name, PROMPT_VERSIONS.c.version).in_(pairs[start : start + _BATCH])
        for row in (await tx.execute(select(*columns).where(some))).mappings():
            found[row["name"], row["version"]] = _version(row["blob"])
    return found


async def registrations(tx: AsyncConnection, name: str | None = None) -> list[Registration]:
    """Every registration, or those of one prompt, sorted by name and time."""
    columns = [PROMPT_VERSIONS.c[field] for field in Registration.__struct_fields__]
    query = select(*columns).order_by(PROMPT_VERSIONS.c.name, PROMPT_VERSIONS.c.registered_at_ms)
    if name is not None:
        query = query.where(PROMPT_VERSIONS.c.name == name)
    return [_registration(row) for row in (await tx.execute(query)).mappings()]


def _registration(row: RowMapping) -> Registration:
    return Registration(**{name: row[name] for name in Registration.__struct_fields__})


def _version(blob: bytes) -> PromptVersion:
    return msgspec.json.decode(blob, type=PromptVersion)
