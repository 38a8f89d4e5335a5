"""Which databases the settings mean, and whether their schema is the one that this version needs."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.adapters.postgres.batches import PostgresBatches
from tidegate.adapters.postgres.contents import PostgresContents
from tidegate.adapters.postgres.database import PostgresDatabase
from tidegate.adapters.postgres.records import ensure_calls_table as ensure_postgres_calls
from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.batches import SqliteBatches
from tidegate.adapters.sqlite.contents import SqliteContents
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.adapters.sqlite.records import ensure_calls_table as ensure_sqlite_calls
from tidegate.app.secrets import open_content_seals
from tidegate.control.monitoring.ports import Batches, ContentStore
from tidegate.jobs.database import Database
from tidegate.kernel.errors import Unavailable
from tidegate.settings import Settings

__all__ = [
    "SchemaStatus",
    "check_known",
    "ensure_calls",
    "migrate",
    "open_batches",
    "open_calls",
    "open_content_store",
    "open_database",
    "schema_status",
    "unpack_calls",
]


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The step that the database is at (None: empty), the newest that this version knows, and those between."""

    current: str | None
    head: str
    pending: tuple[str, ...]


def open_database(settings: Settings) -> Database:
    """The control database. Nothing is opened before the first transaction; the caller closes it."""
    if settings.is_postgres:
        return PostgresDatabase(settings.database_url)
    return SqliteDatabase(settings.control_db_file)


def open_batches(settings: Settings) -> Batches:
    """What unpacks the batches that gateways leave in front of the table `calls`."""
    return PostgresBatches(settings.database_url) if settings.is_postgres else SqliteBatches(settings.calls_db_file)


def open_content_store(settings: Settings, environ: Mapping[str, str]) -> ContentStore:
    """The content that gateways keep; nothing is opened before the first question."""
    if settings.is_postgres:
        return PostgresContents(settings.database_url, lambda: open_content_seals(settings, environ))
    return SqliteContents(settings.contents_db_file, lambda: open_content_seals(settings, environ))


def open_calls(settings: Settings) -> Database:
    """The database that holds the table `calls`: a file of its own for SQLite, else the control database."""
    if settings.is_postgres:
        return PostgresDatabase(settings.database_url)
    return SqliteDatabase(settings.calls_db_file)


async def migrate(settings: Settings) -> SchemaStatus:
    """Bring the schema to this version's newest step, all steps or none; return where it was and what was done.

    Creates the databases of a new workspace. Safe to run twice, and from several processes at once. Raises
    Unavailable when a database is away, or is newer than this version.
    """
    if not settings.is_postgres:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = open_database(settings)
    try:
        async with database.write() as tx:
            at = check_known(await tx.run_sync(schema.current))
            await tx.run_sync(schema.upgrade)
            await ensure_calls(settings, tx)
    finally:
        await database.close()
    return SchemaStatus(current=at, head=schema.head(), pending=schema.pending(at))


async def schema_status(settings: Settings) -> SchemaStatus:
    """Where the schema is. Raises Unavailable when the database is away, or is newer than this version."""
    if not settings.is_postgres and not settings.control_db_file.exists():  # a stat, once
        return SchemaStatus(current=None, head=schema.head(), pending=schema.pending(None))
    database = open_database(settings)
    try:
        async with database.read() as tx:
            at = check_known(await tx.run_sync(schema.current))
    finally:
        await database.close()
    return SchemaStatus(current=at, head=schema.head(), pending=schema.pending(at))


def check_known(at: str | None) -> str | None:
    """Return the step; raises Unavailable when only a newer version than this one can know it."""
    if at is None or at in schema.known():
        return at
    raise Unavailable(
        f"The database is at schema {at}; this version of Tidegate knows {schema.head()} and older ones.",
        mend="Upgrade Tidegate here too, or `tidegate restore` a backup that was made by this version.",
        code="database_newer",
    )


async def unpack_calls(settings: Settings) -> None:
    """Bring every batch that a gateway has left into the table `calls`. Raises Unavailable."""
    batches = open_batches(settings)
    try:
        while await batches.unpack():
            pass
    finally:
        await batches.close()


async def ensure_calls(settings: Settings, tx: AsyncConnection) -> None:
    """Make or widen the table of calls; `tx` writes to the control database."""
    if settings.is_postgres:
        raw = await tx.get_raw_connection()
        await ensure_postgres_calls(raw.driver_connection)
    else:
        await asyncio.to_thread(_ensure_sqlite_calls, settings)


def _ensure_sqlite_calls(settings: Settings) -> None:
    file = settings.calls_db_file
    file.touch(mode=0o600)
    try:
        with closing(sqlite3.connect(file)) as connection:
            ensure_sqlite_calls(connection)
    except sqlite3.Error as error:
        raise Unavailable(
            f"The table of calls cannot be made in {file}: {error}.",
            mend="Check the disk, and the file's owner and mode.",
            code="records_unavailable",
        ) from error
