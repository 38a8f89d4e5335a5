"""The tables of experiments on both databases: what is written comes back, in order; only what may change does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from tests.control.experiments.test_placing import an_experiment
from tests.support.databases import fresh_sqlite
from tests.support.postgres import PostgresServer, fresh_postgres
from tidegate.control.experiments import store
from tidegate.control.experiments.heavy import analysis_of
from tidegate.control.experiments.model import Decision, Happening
from tidegate.control.monitoring.exposures import Exposures
from tidegate.jobs.database import Database


@pytest.fixture(params=["sqlite", "postgresql"])
async def db(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    if request.param == "sqlite":
        database: Database = await fresh_sqlite(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        database = await asyncio.to_thread(fresh_postgres, server)
    yield database
    await database.close()


async def test_a_run_comes_back_as_it_was_and_only_its_course_changes(db: Database) -> None:
    begun = an_experiment()
    decision = Decision(answer="ship", variant="treatment", why="It is bétter.", more_units=None, about_days=1.5)
    over = msgspec.structs.replace(
        begun, state="decided", weights_bp=(1000, 9000), ended_at_ms=2**40, decision=decision
    )
    async with db.write() as tx:
        await store.add(tx, begun)
        assert await store.get(tx, begun.experiment_id) == begun
        assert await store.looks(tx, begun.experiment_id) == store.Looks(1, 1)
        await store.change(tx, msgspec.structs.replace(over, salt="another", actor="mallory"))
        await store.note(tx, begun.experiment_id, store.Looks(7, 8))
    async with db.read() as tx:
        assert await store.find(tx, "tone") == over
        assert await store.looks(tx, begun.experiment_id) == store.Looks(7, 8)
        assert await store.find(tx, "tune") is None


async def test_runs_are_told_in_their_order(db: Database) -> None:
    runs = [
        msgspec.structs.replace(an_experiment(name, environment=where), started_at_ms=at_ms, state=state)
        for name, where, at_ms, state in (
            ("b", "production", 3, "running"),
            ("a", "production", 1, "running"),
            ("c", "staging", 2, "stopped"),
        )
    ]
    async with db.write() as tx:
        for run in runs:
            await store.add(tx, run)
        assert [one.definition.name for one in await store.running(tx)] == ["a", "b"]
        assert [one.definition.name for one in await store.newest(tx, limit=9)] == ["b", "c", "a"]
        assert [one.definition.name for one in await store.newest(tx, limit=1)] == ["b"]
        assert [one.definition.name for one in await store.newest(tx, environment="staging", limit=9)] == ["c"]


async def test_events_are_appended_and_tell_since_when_which_weights_held(db: Database) -> None:
    told = [
        Happening(kind="started", at_ms=1, actor="dora", detail={"weights_bp": [5000, 5000]}),
        Happening(kind="reweighed", at_ms=2, actor="system", detail={"weights_bp": [1000, 9000]}),
        Happening(kind="stopped", at_ms=3, actor="dora", detail={"reason": "über"}),
    ]
    async with db.write() as tx:
        for happening in told:
            await store.add_event(tx, "exp_tone", happening)
        await store.add_event(tx, "exp_other", told[0])
        assert await store.events(tx, "exp_tone") == tuple(told)
        assert await store.weights_log(tx, "exp_tone") == ((1, (5000, 5000)), (2, (1000, 9000)))
        numbers = sa.select(store.EVENTS.c.seq).order_by(store.EVENTS.c.experiment_id, store.EVENTS.c.seq)
        assert list((await tx.execute(numbers)).scalars()) == [1, 1, 2, 3]


async def test_the_last_analysis_is_kept_once(db: Database) -> None:
    over = msgspec.structs.replace(an_experiment(), state="stopped", ended_at_ms=50)
    first = analysis_of(over, Exposures([], []), 60, None, ())
    second = msgspec.structs.replace(first, warnings=("later",))
    async with db.write() as tx:
        await store.add(tx, over)
        assert [one.experiment_id for one in await store.over_without_analysis(tx, 0, 50)] == ["exp_tone"]
        assert await store.over_without_analysis(tx, 50, 100) == ()
        for analysis in (first, second):
            await store.keep_analysis(tx, analysis)
        assert await store.kept_analysis(tx, "exp_tone") == first
        assert await store.over_without_analysis(tx, 0, 100) == ()


async def test_an_analysis_that_cannot_be_read_is_made_anew(db: Database) -> None:
    over = msgspec.structs.replace(an_experiment(), state="stopped", ended_at_ms=50)
    found = analysis_of(over, Exposures([], []), 60, None, ())
    async with db.write() as tx:
        await store.add(tx, over)
        await tx.execute(sa.insert(store.ANALYSES).values(experiment_id="exp_tone", at_ms=1, analysis=b'{"old": 1}'))
        assert await store.kept_analysis(tx, "exp_tone") is None
        await store.keep_analysis(tx, found)
        assert await store.kept_analysis(tx, "exp_tone") == found
