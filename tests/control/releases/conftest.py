"""A whole control plane with prompts in Git, on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.control import make_workspace, running_control, settings_for
from tests.support.postgres import PostgresServer
from tests.support.postgres import postgres_server as postgres_server
from tidegate.app.control import Control


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return make_workspace(tmp_path / "home")


@pytest.fixture(params=["sqlite", "postgresql"])
async def control(request: pytest.FixtureRequest, workspace: Path) -> AsyncIterator[Control]:
    if request.param == "sqlite":
        async with running_control(settings_for(workspace)) as running:
            yield running
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = await asyncio.to_thread(server.create_migrated)
    async with running_control(settings_for(workspace, url)) as running:
        yield running
    await asyncio.to_thread(server.drop, url)
