"""Whole workspaces for tests of what is kept: a life lived in one, and everything that its databases then hold."""

# tests touch files

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.databases import migrated_bytes
from tidegate.adapters.postgres.records import PostgresRecords
from tidegate.adapters.sqlite.records import SqliteRecords
from tidegate.app.databases import migrate, open_calls, open_database, unpack_calls
from tidegate.app.stores import open_feedbacks
from tidegate.control.identity import store
from tidegate.control.identity.model import SYSTEM, KeySpec
from tidegate.control.identity.service import Identity
from tidegate.jobs.database import Tx
from tidegate.jobs.outbox import enqueue
from tidegate.jobs.snapshots import add_snapshot, newest_generation
from tidegate.live.calls import CallRecord
from tidegate.live.feedback import Feedback
from tidegate.live.snapshot import Snapshot, encode_snapshot
from tidegate.settings import Settings

__all__ = ["TOKEN", "Place", "World", "call", "place", "publish", "settle", "world"]

TOKEN = "tgt-" + "cd" * 20
Place = Callable[[str, str], Settings]
World = dict[str, list[dict[str, Any]]]


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Builds the settings of an empty workspace: `place(dialect, name)`."""

    def build(dialect: str, name: str) -> Settings:
        url = request.getfixturevalue("postgres_server").create() if dialect == "postgresql" else ""
        return Settings(workspace=tmp_path / name, database_url=url)

    return build


async def publish(tx: Tx) -> int:
    """A Publish that writes a Snapshot of keys alone."""
    generation = await newest_generation(tx) + 1
    grants = await store.grants(tx, now_ms=0)
    blob, sha256 = encode_snapshot(Snapshot(generation=generation, written_at_ms=1, keys=grants))
    await add_snapshot(tx, generation=generation, written_at_ms=1, schema=1, blob=blob, sha256=sha256)
    return generation


async def settle(settings: Settings, *, keys: int = 3) -> None:
    """A life: users, keys, snapshots, errands, calls."""
    if settings.is_postgres or settings.control_db_file.exists():
        await migrate(settings)
    else:
        settings.state_dir.mkdir(parents=True)
        settings.control_db_file.write_bytes(migrated_bytes())
    database = open_database(settings)
    identity = Identity(database, publish)
    await identity.bootstrap(TOKEN)
    for number in range(keys):
        await identity.create_key(SYSTEM, KeySpec(name=f"key-{number}", tags={"team": "Füße 🌊"}))
    async with database.write() as tx:
        await enqueue(tx, at_ms=1, kind="notify", payload={"event": "x", "n": 2**53 + 1})
    await database.close()
    records = PostgresRecords(settings.database_url) if settings.is_postgres else SqliteRecords(settings.calls_db_file)
    await records.append([call(1, stream=True), call(2, cost_nano_usd=2**60, ttft_ms=0.1), call(3, tags={"a": "b"})])
    await records.close()
    feedbacks = open_feedbacks(settings)
    await feedbacks.put([feedback(1), feedback(2, value=0.1), feedback(1, name="tone", value=-1e300)])
    await feedbacks.close()
    await unpack_calls(settings)


def feedback(number: int, **more: Any) -> Feedback:
    """A score of one call."""
    values: dict[str, Any] = {
        "feedback_id": f"fb_{number}",
        "call_id": f"call_{number}",
        "name": "resolved",
        "value": 1.0,
        "at_ms": 2**53 + 1,
        "environment": "production",
        "key_id": "key_1",
    }
    return Feedback(**(values | more))


def call(seq: int, **more: Any) -> CallRecord:
    """A record of one call."""
    return CallRecord(
        call_id=f"call_{seq}",
        gateway_id="gw_1",
        seq=seq,
        started_at_ms=seq,
        endpoint="chat",
        status=200,
        ending="complete",
        latency_ms=1.5,
        **more,
    )


LOG = ("calls", "feedback")
"""The tables of the calls' store."""
UNPACKED = ("call_batches", "call_batches_unread")
"""What lies in front of `calls`: empty once it is unpacked."""


async def world(settings: Settings) -> World:
    """Every row of every table, as both dialects would tell it."""
    found: World = {}
    for database, only_calls in ((open_database(settings), False), (open_calls(settings), True)):
        async with database.read() as tx:
            metadata = sa.MetaData()
            await tx.run_sync(metadata.reflect)
            for table in metadata.sorted_tables:
                if table.name not in UNPACKED and (table.name in LOG) is only_calls:
                    rows = await tx.execute(sa.select(table).order_by(*table.primary_key.columns))
                    found[table.name] = [dict(row) for row in rows.mappings()]
        await database.close()
    return found
