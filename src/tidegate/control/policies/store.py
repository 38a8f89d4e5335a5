"""The table of applied configurations (the newest row is the one that holds, earlier ones are history), and that of
sealed secrets.
"""

import hashlib

import msgspec
import sqlalchemy as sql
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.control.policies.model import SECRETS, Config, SecretInfo
from tidegate.jobs.database import METADATA
from tidegate.live.snapshot import Sealed

__all__ = [
    "CONFIGS",
    "SECRETS_TABLE",
    "StoredConfig",
    "StoredSecret",
    "add",
    "current",
    "latest",
    "put_secret",
    "remove_secret",
    "secrets",
    "set_generation",
    "text_hash",
]

CONFIGS = sql.Table(
    "configs",
    METADATA,
    sql.Column("revision", sql.Integer, primary_key=True, autoincrement=False),
    sql.Column("applied_at_ms", sql.BigInteger, nullable=False),
    sql.Column("actor", sql.Text, nullable=False),
    sql.Column("text", sql.Text, nullable=False),
    sql.Column("sha256", sql.Text, nullable=False),
    sql.Column("config", sql.Text, nullable=False),
    sql.Column("generation", sql.BigInteger, nullable=False),
)
"""`config` is the Config as JSON, catalogue prices in it: a revision means the same for ever."""

SECRETS_TABLE = sql.Table(
    SECRETS,
    METADATA,
    sql.Column("name", sql.Text, primary_key=True),
    sql.Column("sealed", sql.Text, nullable=False),
    sql.Column("set_at_ms", sql.BigInteger, nullable=False),
    sql.Column("set_by", sql.Text, nullable=False),
)
"""`sealed` is the Sealed as JSON."""


class StoredSecret(msgspec.Struct, frozen=True):
    """One sealed secret, and who set it when."""

    sealed: Sealed
    set_at_ms: int
    set_by: str

    @property
    def info(self) -> SecretInfo:
        """What may be shown of it."""
        return SecretInfo(
            name=self.sealed.name, key_id=self.sealed.key_id, set_at_ms=self.set_at_ms, set_by=self.set_by
        )


class StoredConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One revision. `generation` is the Snapshot that first carried it."""

    revision: int
    applied_at_ms: int
    actor: str
    text: str
    sha256: str
    config: Config
    generation: int


def text_hash(text: str) -> str:
    """SHA-256 of the file's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


async def latest(tx: AsyncConnection) -> StoredConfig | None:
    """The revision that holds; None before the first apply."""
    row = (await tx.execute(sql.select(CONFIGS).order_by(CONFIGS.c.revision.desc()).limit(1))).mappings().first()
    if row is None:
        return None
    return StoredConfig(**{**row, "config": msgspec.json.decode(row["config"], type=Config)})


async def current(tx: AsyncConnection) -> Config | None:
    """The Config that holds; None before the first apply."""
    blob = await tx.scalar(sql.select(CONFIGS.c.config).order_by(CONFIGS.c.revision.desc()).limit(1))
    return None if blob is None else msgspec.json.decode(blob, type=Config)


async def add(tx: AsyncConnection, stored: StoredConfig) -> None:
    """Append a revision; of two writers with the same number, the second fails on the primary key."""
    values = msgspec.structs.asdict(stored)
    values["config"] = msgspec.json.encode(stored.config).decode()
    await tx.execute(sql.insert(CONFIGS).values(values))


async def set_generation(tx: AsyncConnection, revision: int, generation: int) -> None:
    """Note which Snapshot first carried the revision."""
    await tx.execute(sql.update(CONFIGS).where(CONFIGS.c.revision == revision).values(generation=generation))


async def secrets(tx: AsyncConnection) -> list[StoredSecret]:
    """Every secret, by name."""
    rows = await tx.execute(sql.select(SECRETS_TABLE).order_by(SECRETS_TABLE.c.name))
    return [StoredSecret(msgspec.json.decode(row.sealed, type=Sealed), row.set_at_ms, row.set_by) for row in rows]


async def put_secret(tx: AsyncConnection, stored: StoredSecret) -> None:
    """Store a secret, over the one of its name."""
    await remove_secret(tx, stored.sealed.name)
    sealed = msgspec.json.encode(stored.sealed).decode()
    values = {"name": stored.sealed.name, "sealed": sealed, "set_at_ms": stored.set_at_ms, "set_by": stored.set_by}
    await tx.execute(sql.insert(SECRETS_TABLE).values(values))


async def remove_secret(tx: AsyncConnection, name: str) -> None:
    """Forget a secret."""
    await tx.execute(sql.delete(SECRETS_TABLE).where(SECRETS_TABLE.c.name == name))
