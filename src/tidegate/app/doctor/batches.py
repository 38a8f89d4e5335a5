"""Checks of the batches of call records that gateways leave: none piles up, none lies aside unread."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from sqlalchemy import text

from tidegate.app.databases import open_database
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.kernel.errors import TidegateError

__all__ = ["check_batches"]

PILED = 1_000
"""Batches: control unpacks twice a second, and a gateway leaves at most ten in a second."""
ANSWER_S = 4.0
LOCK_S = 1.0

TABLES = ("call_batches", "call_batches_unread")
COUNT = "SELECT count(*) FROM "


def check_batches(patient: Patient) -> Iterator[Finding]:
    """Records that wait for control to unpack them, and those that it could not read."""
    try:
        waiting, unread = _postgres(patient) if patient.settings.is_postgres else _sqlite(patient)
    except (TidegateError, TimeoutError, OSError, sqlite3.Error):
        return  # the checks of the databases tell, or no gateway has written yet
    if waiting > PILED:
        yield found("calls_waiting", count=waiting)
    if unread:
        yield found("calls_unread", count=unread)


def _sqlite(patient: Patient) -> tuple[int, int]:
    uri = f"{patient.settings.calls_db_file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=LOCK_S)) as connection:
        waiting, unread = (int(connection.execute(COUNT + table).fetchone()[0]) for table in TABLES)
        return waiting, unread


def _postgres(patient: Patient) -> tuple[int, int]:
    return asyncio.run(asyncio.wait_for(_counted(patient), ANSWER_S))


async def _counted(patient: Patient) -> tuple[int, int]:
    database = open_database(patient.settings)
    try:
        async with database.read() as tx:
            waiting, unread = [int((await tx.execute(text(COUNT + table))).scalar_one()) for table in TABLES]
            return waiting, unread
    finally:
        await database.close()
