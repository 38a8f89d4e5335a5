"""A gateway in front of a fake Gemini."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import RunningGateway
from tests.support.gemini_fake import FakeGemini


@pytest.fixture
def fake() -> Iterator[FakeGemini]:
    with FakeGemini() as running:
        yield running


@pytest.fixture
def gateway(fake: FakeGemini, tmp_path: Path) -> Iterator[RunningGateway]:
    with RunningGateway(fake.snapshot(), tmp_path, environ=fake.environ) as running:
        yield running
