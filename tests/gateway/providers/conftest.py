"""OpenAI's own client in front of a gateway, whose upstream each folder gives."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway

ClientOf = Callable[[RunningGateway], OpenAI]


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    """Makes clients that are closed in the end."""
    with ExitStack() as stack:

        def make(gateway: RunningGateway) -> OpenAI:
            client = OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def client(client_of: ClientOf, gateway: RunningGateway) -> OpenAI:
    return client_of(gateway)
