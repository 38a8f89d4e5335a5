"""A whole control plane with prompts in Git, on both databases, whose duties are left to the tests."""

import pytest

from tests.control.releases.conftest import control as running
from tests.control.releases.conftest import workspace as workspace
from tests.support.postgres import postgres_server as postgres_server
from tidegate.app.control import Control

started = running


@pytest.fixture
async def control(started: Control) -> Control:
    await started.leader.stop()
    return started
