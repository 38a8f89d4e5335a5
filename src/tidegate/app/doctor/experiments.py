"""Checks of experiments: none goes on assigning after its time."""

import asyncio
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from tidegate.app.databases import open_database
from tidegate.app.doctor.faults import Finding, found
from tidegate.app.doctor.patient import Patient
from tidegate.control.experiments import store
from tidegate.control.experiments.model import Experiment
from tidegate.kernel.errors import TidegateError

__all__ = ["check_experiments"]

ANSWER_S = 4.0
DAY_MS = 24 * 3600 * 1000


def check_experiments(patient: Patient) -> Iterator[Finding]:
    """Experiments that run although their duration is over: nobody has decided."""
    if not patient.settings.is_postgres and not patient.settings.control_db_file.exists():
        return
    try:
        running, now_ms = asyncio.run(asyncio.wait_for(_running(patient), ANSWER_S))
    except (TidegateError, TimeoutError, OSError, SQLAlchemyError):
        return  # the checks of the databases tell
    for experiment in running:
        definition = experiment.definition
        over_ms = now_ms - experiment.started_at_ms - definition.duration_s * 1000
        if over_ms > DAY_MS:
            yield found("experiment_overdue", name=definition.name, days=f"{over_ms / DAY_MS:.0f}")


async def _running(patient: Patient) -> tuple[tuple[Experiment, ...], int]:
    database = open_database(patient.settings)
    try:
        async with database.read() as tx:
            return await store.running(tx), await database.now_ms(tx)
    finally:
        await database.close()
