"""OpenAI's own client against Azure OpenAI: the right path, version and key for each way to ask, extras passed on."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.azure_fake import SAFE, FakeAzure
from tests.support.gateway import RunningGateway
from tests.support.wire import FIN, answer, chat_events, stream

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
DATED = {"api_version": "2024-10-21"}
Ask = Callable[..., OpenAI]


@pytest.fixture
def fake() -> Iterator[FakeAzure]:
    with FakeAzure() as running:
        yield running


@pytest.fixture
def ask(fake: FakeAzure, client_of: ClientOf, tmp_path: Path) -> Iterator[Ask]:
    """A client of a gateway whose deployment has these fields."""
    with ExitStack() as stack:

        def begin(environ: dict[str, str] | None = None, **given: Any) -> OpenAI:
            running = RunningGateway(fake.snapshot(**given), tmp_path, environ=environ or fake.environ)
            gateway = stack.enter_context(running)
            return client_of(gateway)

        yield begin


@pytest.mark.parametrize(
    ("base", "options", "path"),
    [
        ("", DATED, "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21"),
        ("", {}, "/openai/v1/chat/completions"),
        ("/", {"api_version": "v1"}, "/openai/v1/chat/completions"),
        ("/openai/v1", {}, "/openai/v1/chat/completions"),
        ("/openai/v1/", {"api_version": "preview"}, "/openai/v1/chat/completions?api-version=preview"),
    ],
)
def test_chat_by_each_address(ask: Ask, fake: FakeAzure, base: str, options: dict[str, str], path: str) -> None:
    got: Any = ask(base=base, options=options).chat.completions.create(model="gpt", messages=HI)
    assert got.choices[0].message.content == "Hello there."
    assert got.choices[0].content_filter_results == SAFE
    assert fake.last.path == path
    assert fake.last.json["model"] == "my deployment"


def test_stream_with_the_filters_first_chunk(ask: Ask) -> None:
    client = ask(options=DATED)
    chunks: list[Any] = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert chunks[0].choices == []
    assert chunks[0].prompt_filter_results[0]["content_filter_results"] == SAFE
    assert "".join(c.choices[0].delta.content or "" for c in chunks[1:]) == "Hello there."
    assert all(c.usage is None for c in chunks)


def test_a_bearer_token(client_of: ClientOf, tmp_path: Path) -> None:
    with FakeAzure(bearer="entra") as fake:
        snapshot = fake.snapshot(options={"auth": "bearer"})
        with RunningGateway(snapshot, tmp_path, environ=fake.environ) as gateway:
            client = client_of(gateway)
            assert client.chat.completions.create(model="gpt", messages=HI).choices


def test_embeddings_and_completions(ask: Ask, fake: FakeAzure) -> None:
    client = ask(options=DATED)
    assert client.embeddings.create(model="embed", input="a").data[0].embedding == [0.5, -0.25]
    assert fake.last.path == "/openai/deployments/my%20deployment/embeddings?api-version=2024-10-21"
    assert client.completions.create(model="gpt", prompt="a").choices[0].text == "Hello there."


def test_responses_are_asked_under_v1_only(ask: Ask, fake: FakeAzure) -> None:
    client = ask(options={})
    body = {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": [], "model": "m"}
    fake.then(answer(body))
    assert client.responses.create(model="gpt", input="Hi").id == "resp_1"
    assert fake.last.path == "/openai/v1/responses"


def test_a_filtered_prompt_keeps_its_words(ask: Ask, fake: FakeAzure) -> None:
    inner = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}
    error = {"message": "Filtered.", "param": "prompt", "code": "content_filter", "status": 400, "innererror": inner}
    fake.then(answer({"error": error}, 400))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(options=DATED).chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "content_filter"
    assert caught.value.body == error


def test_a_limit_says_when_to_try_again(ask: Ask, fake: FakeAzure) -> None:
    error = {"code": "429", "message": "Requests have exceeded the rate limit."}
    fake.then(answer({"error": error}, 429, headers=[("Retry-After", "17")]))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(options=DATED).chat.completions.create(model="gpt", messages=HI)
    assert caught.value.response.headers["retry-after"] == "17"


def test_a_bad_key_is_our_fault_not_the_clients(ask: Ask) -> None:
    client = ask({"AZURE_OPENAI_API_KEY": "wrong"}, options=DATED)
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")


def test_a_deployment_that_is_not_there(ask: Ask) -> None:
    client = ask(options=DATED, upstream_model="gone")
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "DeploymentNotFound"


@pytest.mark.parametrize("count", range(5))
def test_a_cut_after_any_event_is_a_cut(ask: Ask, fake: FakeAzure, count: int) -> None:
    fake.then(stream(chat_events()[:count], end=FIN))
    with pytest.raises((openai.APIError, openai.APIConnectionError)):
        list(ask(options=DATED).chat.completions.create(model="gpt", messages=HI, stream=True))
