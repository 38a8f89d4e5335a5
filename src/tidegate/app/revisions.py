"""The next step of the schema, for those who change a table: written from what the stores declare."""

import importlib
import pkgutil
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import MetaData

from tidegate import control, jobs
from tidegate.adapters.sql import schema
from tidegate.adapters.sqlite.database import SqliteDatabase
from tidegate.jobs.database import METADATA

__all__ = ["declared_tables", "write_step"]


def declared_tables() -> MetaData:
    """Every table that a slice's store or a job declares, found by looking: a new store needs no list."""
    for package in (control, jobs):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if package is jobs or module.name.endswith(".store"):
                importlib.import_module(module.name)
    return METADATA


async def write_step(message: str, folder: Path | None = None) -> Path:
    """Write the next step's script beside the others (or into `folder`), to be read and mended; return its path."""
    with TemporaryDirectory() as temporary:
        database = SqliteDatabase(Path(temporary) / "newest.db")
        try:
            async with database.write() as tx:
                await tx.run_sync(schema.upgrade)
                return await tx.run_sync(schema.write_revision, declared_tables(), message, folder)
        finally:
            await database.close()
