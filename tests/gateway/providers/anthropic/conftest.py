"""A gateway in front of a fake Anthropic."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.anthropic_fake import FakeAnthropic
from tests.support.gateway import RunningGateway


@pytest.fixture
def fake() -> Iterator[FakeAnthropic]:
    with FakeAnthropic() as running:
        yield running


@pytest.fixture
def gateway(fake: FakeAnthropic, tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(fake.snapshot(), tmp_path, environ=fake.environ) as running:
        yield running
