"""A gateway as a process of its own, over a real SQLite workspace."""

import contextlib
import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.databases import migrated_bytes
from tests.support.processes import Started, started
from tidegate.adapters.sqlite.batches import unpack_batches
from tidegate.app.supervisor.orders import Orders, given
from tidegate.live.snapshot import Snapshot, encode_snapshot
from tidegate.settings import Settings

__all__ = ["gateway_process", "stored_calls"]


@contextlib.contextmanager
def gateway_process(workspace: Path, transport: str, snapshot: Snapshot) -> Iterator[tuple[Started, int]]:
    """The running process, and its port."""
    settings = Settings(workspace=workspace, transport=transport, gateway_port=0)
    settings.state_dir.mkdir()
    settings.control_db_file.write_bytes(migrated_bytes())
    blob, digest = encode_snapshot(snapshot)
    with contextlib.closing(sqlite3.connect(settings.control_db_file)) as db, db:
        db.execute("INSERT INTO snapshots VALUES (?, 0, 1, ?, ?)", (snapshot.generation, blob, digest))
    environ = given(Orders(process="gateway", settings=settings), os.environ)
    with started([sys.executable, "-m", "tidegate.doors.http.gateway"], environ=environ) as running:
        found = re.search(r"'127.0.0.1', (\d+)", running.saw("serves on"))
        assert found
        yield running, int(found[1])


def stored_calls(workspace: Path) -> list[tuple[int, str, int, int | None]]:
    """Number, ending, status and input tokens of the calls that were stored, by number."""
    with contextlib.closing(sqlite3.connect(Settings(workspace=workspace).calls_db_file, isolation_level=None)) as db:
        while unpack_batches(db):
            pass
        return db.execute("SELECT seq, ending, status, input_tokens FROM calls ORDER BY seq").fetchall()
