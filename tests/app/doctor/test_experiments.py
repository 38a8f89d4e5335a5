"""Faults of experiments, each produced and found."""

import asyncio

import msgspec

from tests.app.doctor.ward import Ward
from tests.control.experiments.test_placing import an_experiment
from tidegate.app.databases import open_database
from tidegate.control.experiments import store
from tidegate.control.experiments.model import Experiment

DAY_MS = 24 * 3600 * 1000


def keep(ward: Ward, experiment: Experiment) -> None:
    async def write() -> None:
        database = open_database(ward.settings)
        async with database.write() as tx:
            await store.add(tx, experiment)
        await database.close()

    asyncio.run(write())


def begun(ward: Ward, name: str, days_ago: float, **how: object) -> Experiment:
    at_ms = ward.machine.now_ms - round(days_ago * DAY_MS)
    return msgspec.structs.replace(an_experiment(name, duration_s=7 * 86_400), started_at_ms=at_ms, **how)


def test_experiment_overdue(ward: Ward) -> None:
    keep(ward, begun(ward, "young", 7.5))
    keep(ward, begun(ward, "ended", 20, state="decided", ended_at_ms=1))
    keep(ward, begun(ward, "forgotten", 17))
    finding = ward.found("experiment_overdue")
    assert "forgotten" in finding.what
    assert "10 days" in finding.what
    assert "tidegate experiment decide forgotten" in finding.mend
