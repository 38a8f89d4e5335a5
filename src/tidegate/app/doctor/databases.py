"""Checks of the databases: there, writable, whole, free, at the right schema; and the call log within its bounds."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil

from tidegate.app.databases import SchemaStatus, open_database, schema_status
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.app.policies_local import difference, held_text
from tidegate.kernel.errors import TidegateError

__all__ = ["check_applied", "check_calls", "check_clocks", "check_files", "check_schema"]

LOCK_S = 1.0
READ_S = 2.0
"""How long one file is read through at most: a large one is looked at in part."""
ANSWER_S = 4.0
DAY_MS = 24 * 3600 * 1000
SLACK = 1.1
SKEW_MS = 5_000


def check_files(patient: Patient) -> Iterator[Finding]:
    """SQLite's files: openable, not locked for long, not damaged. `tidegate up` makes one that is not there."""
    if patient.settings.is_postgres:
        return
    for file in (patient.settings.control_db_file, patient.settings.calls_db_file):
        if file.exists():
            yield from _check_file(patient, file)


def check_schema(patient: Patient) -> Iterator[Finding]:
    """Whether the schema is the one that this version needs, and PostgreSQL there at all."""
    if not _opens(patient):
        return  # check_files tells
    try:
        status = _schema(patient)
    except (TidegateError, TimeoutError, OSError) as error:
        code = getattr(error, "code", "")
        if code == "database_newer":
            yield found("schema_newer", fault=getattr(error, "message", ""))
        elif patient.settings.is_postgres:
            reason = getattr(error, "message", None) or f"no answer in {ANSWER_S:g} s"
            yield found("postgres_unreachable", reason=reason.rstrip("."))
        return
    made = patient.settings.is_postgres or patient.settings.control_db_file.exists()
    if status.pending and made:
        current = status.current or "nothing"
        yield found("schema_pending", current=current, pending=", ".join(status.pending))


def check_clocks(patient: Patient) -> Iterator[Finding]:
    """This machine's clock against the database's; SQLite's is this machine's, so nothing can differ."""
    if not patient.settings.is_postgres:
        return
    try:
        database_ms = asyncio.run(asyncio.wait_for(_database_time(patient), ANSWER_S))
    except (TidegateError, TimeoutError, OSError):
        return  # check_schema tells
    difference_ms = abs(database_ms - patient.machine.now_ms)
    if difference_ms > SKEW_MS + ANSWER_S * 1000:
        yield found("clock_skewed", other="the database's", seconds=round(difference_ms / 1000))


def check_applied(patient: Patient) -> Iterator[Finding]:
    """Whether tidegate.yaml is what holds."""
    if patient.config is None or patient.text is None or not _opens(patient):
        return
    try:
        held = asyncio.run(asyncio.wait_for(held_text(patient.settings), ANSWER_S))
        lines = difference(held, patient.text) if held is not None else ()
    except (TidegateError, TimeoutError, OSError):
        return  # another check tells
    if lines:
        shown = "; ".join(lines[:3]) + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")
        yield found("config_not_applied", changes=shown)


def check_calls(patient: Patient) -> Iterator[Finding]:
    """The call log within its bounds of days and megabytes; a tenth over them is left to the next pruning."""
    file = patient.settings.calls_db_file
    if patient.config is None or patient.settings.is_postgres or not file.is_file():
        return
    bound = patient.config.retention
    try:
        with closing(_open(file)) as connection:
            pages, free, size = (
                int(connection.execute(f"PRAGMA {name}").fetchone()[0])
                for name in ("page_count", "freelist_count", "page_size")
            )
            oldest = connection.execute("SELECT min(started_at_ms) FROM calls").fetchone()[0]
    except sqlite3.Error:
        return  # check_files tells
    megabytes = (pages - free) * size / 1024**2
    if megabytes > bound.calls_max_mb * SLACK:
        yield found("calls_overdue", what=f"{megabytes:.0f} MB of {bound.calls_max_mb}")
    elif oldest is not None and patient.machine.now_ms - oldest > bound.calls_days * DAY_MS * SLACK:
        days = (patient.machine.now_ms - oldest) / DAY_MS
        yield found("calls_overdue", what=f"the oldest record is {days:.0f} days old, of {bound.calls_days}")


def _check_file(patient: Patient, file: Path) -> Iterator[Finding]:
    shown = patient.shown(file)
    try:
        with closing(_open(file)) as connection:
            damage = _damage(connection)
            if damage:
                yield found("database_corrupt", file=shown, reason=damage)
                return
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", None) or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            yield found("database_locked", file=shown, processes=_holders(file))
        elif name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            yield found("database_corrupt", file=shown, reason=error)
        else:
            yield found("database_unwritable", file=shown, reason=error)


def _opens(patient: Patient) -> bool:
    """Whether the control database can be read at all, or is not there yet; PostgreSQL is asked by its own check."""
    file = patient.settings.control_db_file
    if patient.settings.is_postgres or not file.exists():
        return True
    try:
        with closing(_open(file)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error:
        return False
    return True


def _open(file: Path) -> sqlite3.Connection:
    """Open for writing, never making a file."""
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=LOCK_S, isolation_level=None)


def _damage(connection: sqlite3.Connection) -> str | None:
    """What PRAGMA quick_check says first; None for a whole file, or one that could not be read through in READ_S."""
    end = time.monotonic() + READ_S
    connection.set_progress_handler(lambda: int(time.monotonic() > end), 100_000)
    try:
        answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
            raise
        return None
    finally:
        connection.set_progress_handler(None, 0)
    return None if answer == "ok" else answer.splitlines()[0]


def _holders(file: Path) -> str:
    """The other processes that have the file open, as far as the system tells."""
    names = []
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and any(one.path == str(file) for one in process.open_files()):
                names.append(f"{process.pid} ({process.name()})")
        except psutil.Error:
            continue
    return ", ".join(names) or "its name is not told"


def _schema(patient: Patient) -> SchemaStatus:
    return asyncio.run(asyncio.wait_for(schema_status(patient.settings), ANSWER_S))


async def _database_time(patient: Patient) -> int:
    database = open_database(patient.settings)
    try:
        async with database.read() as tx:
            return await database.now_ms(tx)
    finally:
        await database.close()
