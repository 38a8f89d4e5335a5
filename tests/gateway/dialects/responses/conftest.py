"""OpenAI's own client in front of a gateway, whose upstream speaks chat.completions and no responses."""

from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.scene import Start


@pytest.fixture
def gateway(start: Start) -> RunningGateway:
    return start(native_responses=False)


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client
