"""Gateways in front of a fake Vertex AI, with a service account's key in a file."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import RunningGateway
from tests.support.gemini_fake import FakeVertex

Start = Callable[..., RunningGateway]


@pytest.fixture
def fake() -> Iterator[FakeVertex]:
    with FakeVertex() as running:
        yield running


@pytest.fixture
def start(fake: FakeVertex, tmp_path: Path) -> Iterator[Start]:
    """Starts a gateway; `account` changes fields of the key file, others those of the deployment."""
    with ExitStack() as stack:

        def begin(account: dict[str, Any] | None = None, **given: Any) -> RunningGateway:
            file = tmp_path / "account.json"
            file.write_text(json.dumps({**fake.account(), **(account or {})}))
            environ = given.pop("environ", {"GOOGLE_APPLICATION_CREDENTIALS": str(file)})
            return stack.enter_context(RunningGateway(fake.snapshot(**given), tmp_path, environ=environ))

        yield begin


@pytest.fixture
def gateway(start: Start) -> RunningGateway:
    return start()
