"""A control plane behind its door, asked in process; one for all tests of a module, since most only ask."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.support.control import admin_headers, make_workspace, running_control, settings_for
from tidegate.app.control import Control
from tidegate.doors.http.control.application import make_app


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def control(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Control]:
    workspace = make_workspace(tmp_path_factory.mktemp("control") / "home")
    async with running_control(settings_for(workspace)) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(control: Control) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(app=make_app(control), raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://control.test") as one:
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def admin(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the admin's token."""
    transport = client._transport
    async with httpx.AsyncClient(transport=transport, base_url=client.base_url, headers=admin_headers()) as one:
        yield one
