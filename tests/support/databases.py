"""Databases for tests: a migrated SQLite file in a moment, and a Publish that writes nothing."""

import tempfile
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncConnection

from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.database import SqliteDatabase

__all__ = ["fresh_sqlite", "migrated_bytes", "no_publish"]


async def fresh_sqlite(tmp_path: Path) -> SqliteDatabase:
    """A new control database `control.db` in `tmp_path`, migrated and ready for use; the caller closes it."""
    file = tmp_path / "control.db"
    file.write_bytes(migrated_bytes())
    return SqliteDatabase(file)


async def no_publish(tx: AsyncConnection) -> int:
    """A Publish for tests that do not look at the Snapshot: always generation 1."""
    return 1


@cache
def migrated_bytes() -> bytes:
    """An empty SQLite file with the newest schema: migrated once in a run, then copied."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.db"
        engine = create_engine(f"sqlite:///{file}")
        with engine.begin() as connection:
            schema.upgrade(connection)
        engine.dispose()
        return file.read_bytes()
