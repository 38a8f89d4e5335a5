"""A gateway (through the raw door) in front of a scripted upstream."""

import pytest

from tests.support.scene import gateway as gateway
from tests.support.scene import start as start
from tests.support.scene import upstream as upstream


@pytest.fixture
def transport() -> str:
    """What is behind the doors does not depend on them: one will do."""
    return "raw"
