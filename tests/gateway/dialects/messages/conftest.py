"""Anthropic's own client in front of a gateway, whose upstream speaks OpenAI's words."""

from collections.abc import Iterator

import pytest
from anthropic import Anthropic

from tests.support.gateway import RunningGateway


@pytest.fixture
def claude(gateway: RunningGateway) -> Iterator[Anthropic]:
    with Anthropic(base_url=gateway.url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client
