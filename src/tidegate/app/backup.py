"""Backup and restore: everything that Tidegate remembers in one file, between any two databases of either dialect."""

import base64
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate import __version__
from tidegate.adapters.sql import schema
from tidegate.app.archive import ArchiveWriter, Manifest, parts, verified
from tidegate.app.databases import check_known, ensure_calls, open_calls, open_database, schema_status, unpack_calls
from tidegate.control.identity.model import SYSTEM
from tidegate.control.identity.store import add_audit
from tidegate.jobs.database import Database
from tidegate.jobs.lease import LEASES, living_holders
from tidegate.jobs.snapshots import SNAPSHOTS, add_snapshot, newest_generation
from tidegate.kernel.errors import Conflict, Invalid, Unavailable
from tidegate.live.snapshot import Snapshot, decode_snapshot, encode_snapshot
from tidegate.settings import Settings

__all__ = ["backup", "restore"]

CALLS = "calls"
LOG = (CALLS, "feedback")
"""The tables of the calls' store."""
BATCH = 1000
Places = dict[str, tuple[AsyncConnection, sa.Table]]


async def backup(settings: Settings, out: Path, *, calls: bool) -> Manifest:
    """Write one consistent view of the control database, and of the call log (records and feedback) if asked, to a new
    file.

    Works while Tidegate runs, and before a pending migration. Raises Unavailable, Conflict (the file exists).
    """
    status = await schema_status(settings)
    if status.current is None:
        raise Unavailable(
            "There is nothing to back up: the database is empty.",
            mend="Run `tidegate migrate`.",
            code="database_not_migrated",
        )
    if calls:
        await unpack_calls(settings)
    async with _opened(open_database(settings)) as database, database.read() as tx:
        made_at_ms = await database.now_ms(tx)
        with ArchiveWriter(out) as archive:
            for table in await _reflect(tx, _remembered(status.current)):
                await _dump(tx, table, archive)
            if calls:
                await _dump_calls(settings, archive)
            return archive.finish(
                schema=status.current, made_at_ms=made_at_ms, made_by=__version__, dialect=database.dialect
            )


async def restore(settings: Settings, file: Path, *, force: bool) -> Manifest:
    """Make the database what it was in the backup, in one transaction, then bring the schema up to date.

    The file is checked whole before anything is touched. Gateways take the restored state over at once: it gets
    a generation above every one they may have seen. The call log is replaced only as far as the backup holds it.
    Raises Invalid (damaged, or of a newer version), Conflict (control runs; not empty and not `force`).
    """
    manifest = verified(file)
    _check_readable(manifest, file)
    if not settings.is_postgres:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if CALLS in manifest.tables:
        await unpack_calls(settings)  # what lies in front of the call log is part of it
    async with _opened(open_database(settings)) as database, database.write() as tx:
        now_ms = await database.now_ms(tx)
        at = check_known(await tx.run_sync(schema.current))
        async with AsyncExitStack() as stack:
            log: Places = {}
            if CALLS in manifest.tables:
                log = await _log(await _calls_transaction(settings, tx, stack), manifest)
            if at is not None:
                await _check_idle(tx, now_ms)
            await _check_free(tx, log, at, force=force)
            leases, floor = await _survivors(tx, at)
            await _rebuild(tx, at, manifest.schema)
            await _load(tx, log, file, manifest)
            await tx.run_sync(schema.upgrade)
            if leases:
                await tx.execute(sa.insert(LEASES), leases)
            await _announce(tx, floor, now_ms)
            diff = {"made_at_ms": manifest.made_at_ms, "rows": {k: v.rows for k, v in manifest.tables.items()}}
            await add_audit(
                tx, at_ms=now_ms, actor=SYSTEM, action="backup.restore", subject=f"backup/{file.name}", diff=diff
            )
    return manifest


@asynccontextmanager
async def _opened(database: Database) -> AsyncIterator[Database]:
    try:
        yield database
    finally:
        await database.close()


def _remembered(at: str) -> tuple[str, ...]:
    """The tables that a backup holds: leases are of the moment, and belong to the database they are in."""
    return tuple(name for name in schema.tables(at) if name != LEASES.name)


async def _reflect(tx: AsyncConnection, names: Iterable[str]) -> list[sa.Table]:
    """The tables as they are in the database, those that others point at first."""
    metadata = sa.MetaData()
    wanted = tuple(names)
    await tx.run_sync(lambda connection: metadata.reflect(connection, only=wanted))
    return metadata.sorted_tables


async def _dump(tx: AsyncConnection, table: sa.Table, archive: ArchiveWriter) -> None:
    name = str(table.name)  # a reflected name is more than a str
    columns = tuple(str(column.name) for column in table.columns)
    archive.begin(name, columns)
    query = sa.select(table).order_by(*table.primary_key.columns)
    rows = await tx.stream(query, execution_options={"yield_per": BATCH})
    async for row in rows:
        archive.add(name, {column: _plain(value) for column, value in zip(columns, row, strict=True)})
    archive.end(name)


async def _dump_calls(settings: Settings, archive: ArchiveWriter) -> None:
    if not settings.is_postgres and not settings.calls_db_file.exists():  # a stat, once
        return
    async with _opened(open_calls(settings)) as database, database.read() as tx:
        there = await tx.run_sync(lambda connection: sa.inspect(connection).get_table_names())
        for table in await _reflect(tx, [name for name in LOG if name in there]):
            await _dump(tx, table, archive)


def _check_readable(manifest: Manifest, file: Path) -> None:
    if manifest.schema not in schema.known():
        raise Invalid(
            f"The backup {file} is of schema {manifest.schema}; this version knows {schema.head()} and older.",
            mend="Restore it with the version that made it, or a newer one.",
            code="backup_newer",
        )
    strange = sorted(manifest.tables.keys() - {*_remembered(manifest.schema), *LOG})
    if strange:
        raise Invalid(
            f"The backup {file} holds a table {strange[0]!r} that its schema {manifest.schema} does not have.",
            mend="Nothing was changed; use another one.",
            code="backup_damaged",
        )


async def _check_idle(tx: AsyncConnection, now_ms: int) -> None:
    holders = await living_holders(tx, now_ms)
    if holders:
        raise Conflict(
            f"{', '.join(sorted(set(holders.values())))} is running on this database.",
            mend="Stop control first (its lease ends a few seconds after a crash). Gateways may go on.",
            code="control_running",
        )


async def _check_free(tx: AsyncConnection, log: Places, at: str | None, *, force: bool) -> None:
    if force:
        return
    mine = await _reflect(tx, _remembered(at)) if at is not None else []
    for connection, table in (*((tx, table) for table in mine), *log.values()):
        if (await connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1))).first() is not None:
            raise Conflict(
                f"The database is not empty: {table.name} has rows.",
                mend="Use --force to replace everything in it.",
                code="database_not_empty",
            )


async def _survivors(tx: AsyncConnection, at: str | None) -> tuple[list[dict[str, Any]], int]:
    """What must not go backwards: the leases' epochs, and the generation that gateways have seen."""
    if at is None:
        return [], 0
    rows = (await tx.execute(sa.select(LEASES))).mappings().all()
    return [dict(row) for row in rows], await newest_generation(tx)


async def _rebuild(tx: AsyncConnection, at: str | None, wanted: str) -> None:
    """Drop the schema and build it as it was when the backup was made."""
    if at is not None:
        tables = await _reflect(tx, (*schema.tables(at), schema.VERSION_TABLE))
        for table in reversed(tables):
            await tx.execute(sa.schema.DropTable(table))
    await tx.run_sync(schema.upgrade, wanted)


async def _calls_transaction(settings: Settings, tx: AsyncConnection, stack: AsyncExitStack) -> AsyncConnection:
    await ensure_calls(settings, tx)
    if settings.is_postgres:
        return tx
    database = await stack.enter_async_context(_opened(open_calls(settings)))
    return await stack.enter_async_context(database.write())


async def _log(calls_tx: AsyncConnection, manifest: Manifest) -> Places:
    """The tables of the call log that the backup holds, by name."""
    tables = await _reflect(calls_tx, [name for name in LOG if name in manifest.tables])
    return {str(table.name): (calls_tx, table) for table in tables}


async def _load(tx: AsyncConnection, log: Places, file: Path, manifest: Manifest) -> None:
    places = {str(table.name): (tx, table) for table in await _reflect(tx, _remembered(manifest.schema))} | log
    for connection, table in log.values():
        await connection.execute(sa.delete(table))
    for name, rows in parts(file, manifest):
        connection, table = places[name]
        columns = manifest.tables[name].columns
        _check_columns(table, columns, file)
        try:
            values = [{column: _typed(row[column], table.c[column]) for column in columns} for row in rows]
            await connection.execute(sa.insert(table), values)
        except (KeyError, TypeError, ValueError, DBAPIError) as error:
            raise Invalid(
                f"The backup {file} holds a row of {name} that this database does not take: {error}.",
                mend="Nothing was changed; use another one.",
                code="backup_damaged",
            ) from error


def _check_columns(table: sa.Table, columns: tuple[str, ...], file: Path) -> None:
    more = sorted(set(columns).difference(table.columns.keys()))
    if more:
        raise Invalid(
            f"The backup {file} knows {table.name}.{more[0]}, and this version does not.",
            mend="Restore it with the version that made it, or a newer one.",
            code="backup_newer",
        )


async def _announce(tx: AsyncConnection, floor: int, now_ms: int) -> None:
    """Publish the restored Snapshot under a generation above all that gateways may have seen."""
    newest = await newest_generation(tx)
    if not newest and not floor:
        return
    row = (await tx.execute(sa.select(SNAPSHOTS).where(SNAPSHOTS.c.generation == newest))).one_or_none()
    snapshot = decode_snapshot(row.blob, row.sha256) if row is not None else Snapshot()
    generation = max(newest, floor) + 1
    snapshot = msgspec.structs.replace(snapshot, generation=generation, written_at_ms=now_ms)
    blob, sha256 = encode_snapshot(snapshot)
    await add_snapshot(
        tx, generation=generation, written_at_ms=now_ms, schema=snapshot.schema, blob=blob, sha256=sha256
    )


def _plain(value: object) -> object:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _typed(value: Any, column: sa.Column[Any]) -> Any:
    """The value as the column's dialect keeps it: SQLite has no booleans, JSON has no bytes."""
    if value is None:
        return None
    if isinstance(column.type, sa.LargeBinary):
        return base64.b64decode(value, validate=True)
    if isinstance(column.type, sa.Boolean):
        return bool(value)
    if isinstance(column.type, sa.Integer):
        return int(value)
    return float(value) if isinstance(column.type, sa.Float) else value
