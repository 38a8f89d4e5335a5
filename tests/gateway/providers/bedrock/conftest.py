"""A gateway in front of a fake Bedrock."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedrock_fake import FakeBedrock
from tests.support.gateway import RunningGateway


@pytest.fixture
def fake() -> Iterator[FakeBedrock]:
    with FakeBedrock() as running:
        yield running


@pytest.fixture
def gateway(fake: FakeBedrock, tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(fake.snapshot(), tmp_path, environ=fake.environ) as running:
        yield running
