"""SQLite's result codes as errors that a person can act on."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from tidegate.kernel.errors import Unavailable

__all__ = ["gone", "sqlite_fault", "unopenable"]

OPENING = "Check that its folder is there, and that this user may read and write both."

_FAULTS = {
    "SQLITE_BUSY": (
        "database_locked",
        "is locked by another process",
        "Wait for that process to finish, or find it with `lsof` or `fuser` on the file.",
    ),
    "SQLITE_LOCKED": ("database_locked", "is locked by another connection", "Try again."),
    "SQLITE_CANTOPEN": ("database_unopenable", "cannot be opened", OPENING),
    "SQLITE_FULL": (
        "disk_full",
        "has no room to grow: the disk is full",
        "Free disk space; nothing was half-written.",
    ),
    "SQLITE_IOERR": (
        "database_io",
        "cannot be read or written: the disk reports an error",
        "Check the disk and its mount.",
    ),
    "SQLITE_CORRUPT": (
        "database_corrupt",
        "is damaged",
        "Stop Tidegate, keep a copy of the file, and `tidegate restore` the last backup.",
    ),
    "SQLITE_NOTADB": (
        "database_corrupt",
        "is not a SQLite database",
        "Stop Tidegate, keep a copy of the file, and `tidegate restore` the last backup.",
    ),
    "SQLITE_READONLY": (
        "database_readonly",
        "may not be written",
        "Check the owner and mode of the file and its folder.",
    ),
}


def gone(file: Path) -> Unavailable:
    """The error for a database file that was there and is no longer."""
    return Unavailable(
        f"The database {file} is gone.",
        mend="Put the file back (mount its disk, or restore a backup): Tidegate then goes on by itself.",
        code="database_gone",
    )


def unopenable(file: Path, why: str) -> Unavailable:
    """The error for a file that is there, or could be made, but may not be opened."""
    return Unavailable(f"The database {file} cannot be opened: {why}.", mend=OPENING, code="database_unopenable")


def sqlite_fault(file: Path, error: DBAPIError) -> Unavailable | None:
    """The Unavailable that this error means; None when not the store but the statement is wrong."""
    cause = error.orig
    if not isinstance(cause, sqlite3.Error):
        return None
    if str(cause).startswith("no such table"):
        return Unavailable(
            f"The database {file} lacks a table ({cause}).",
            mend="Run `tidegate migrate`.",
            code="database_not_migrated",
        )
    name = getattr(cause, "sqlite_errorname", None) or ""
    found = _FAULTS.get("_".join(name.split("_")[:2]))
    if found is None:
        return None
    code, what, mend = found
    return Unavailable(f"The database {file} {what}.", mend=mend, code=code)
