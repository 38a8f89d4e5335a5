"""OpenAI's own client against Vertex AI: the project's address, and tokens fetched once and renewed in time."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway, until
from tests.support.gemini_fake import FakeVertex
from tidegate.gateway.providers.vertex.provider import VertexProvider
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment

ClientOf = Callable[[RunningGateway], OpenAI]
HI: Any = [{"role": "user", "content": "Hi"}]
Start = Callable[..., RunningGateway]


def test_chat_and_stream(client: OpenAI, fake: FakeVertex) -> None:
    got = client.chat.completions.create(model="gpt", messages=HI)
    assert got.choices[0].message.content == "Hello there."
    start = "/v1/projects/my-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash"
    assert fake.calls[-1].path == f"{start}:generateContent"
    chunks = list(client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "Hello there."
    assert fake.calls[-1].path == f"{start}:streamGenerateContent?alt=sse"
    assert len(fake.tokens) == 1


def test_embeddings(client: OpenAI, fake: FakeVertex) -> None:
    got = client.embeddings.create(model="embed", input=["a", "b"], dimensions=2, encoding_format="float")
    assert [one.embedding for one in got.data] == [[0.5, -0.25]] * 2
    assert got.usage.prompt_tokens == 8
    assert fake.asked == {"instances": [{"content": "a"}, {"content": "b"}], "parameters": {"outputDimensionality": 2}}


def test_many_calls_at_once_fetch_one_token(client_of: ClientOf, gateway: RunningGateway, fake: FakeVertex) -> None:
    client = client_of(gateway)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(client.chat.completions.create, model="gpt", messages=HI) for _ in range(8)]
    assert all(one.result().choices for one in asked)
    assert len(fake.tokens) == 1
    until(lambda: not gateway.gateway._pool._busy)  # the fetch gave its connection back


def test_a_token_is_renewed_beside_the_calls(client_of: ClientOf, start: Start, fake: FakeVertex) -> None:
    fake.life_s = 200  # it is renewed 300 s before its end: at once
    client = client_of(start())
    client.chat.completions.create(model="gpt", messages=HI)
    fake.token_faults = 1
    client.chat.completions.create(model="gpt", messages=HI)  # the renewal fails, the living token serves on
    until(lambda: fake.token_faults == 0)
    client.chat.completions.create(model="gpt", messages=HI)
    assert {one.headers["authorization"] for one in fake.calls} == {"Bearer ya29.0"}
    assert sum(one.path == "/token" for one in fake.received) == 2  # the next try waits a while


def test_a_renewed_token_is_used(client_of: ClientOf, start: Start, fake: FakeVertex) -> None:
    fake.life_s = 200
    client = client_of(start())
    client.chat.completions.create(model="gpt", messages=HI)
    client.chat.completions.create(model="gpt", messages=HI)
    until(lambda: len(fake.tokens) > 1)

    def renewed() -> bool:
        client.chat.completions.create(model="gpt", messages=HI)
        return fake.calls[-1].headers["authorization"] != "Bearer ya29.0"

    until(renewed)


def test_no_token_is_told_and_the_next_call_tries_again(
    client_of: ClientOf, gateway: RunningGateway, fake: FakeVertex
) -> None:
    client = client_of(gateway)
    fake.token_faults = 1
    with pytest.raises(openai.InternalServerError, match="token endpoint") as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert (caught.value.status_code, caught.value.code) == (502, "provider_auth")
    assert client.chat.completions.create(model="gpt", messages=HI).choices


def test_another_accounts_key_is_refused(client_of: ClientOf, start: Start, fake: FakeVertex) -> None:
    with FakeVertex() as other:
        client = client_of(start({"private_key": other.account()["private_key"]}))
        with pytest.raises(openai.InternalServerError, match="Invalid JWT Signature"):
            client.chat.completions.create(model="gpt", messages=HI)


def test_a_ready_token(client_of: ClientOf, start: Start, fake: FakeVertex) -> None:
    fake.tokens.append("ya29.given")
    options = {"project": fake.PROJECT, "location": fake.LOCATION, "auth": "token"}
    client = client_of(start(options=options, api_key_env="TOKEN", environ={"TOKEN": "ya29.given"}))
    assert client.chat.completions.create(model="gpt", messages=HI).choices
    assert len(fake.received) == 1


def test_a_key_in_the_variable_itself(client_of: ClientOf, start: Start, fake: FakeVertex) -> None:
    client = client_of(start(environ={"KEY": json.dumps(fake.account())}, api_key_env="KEY"))
    assert client.chat.completions.create(model="gpt", messages=HI).choices
    assert len(fake.tokens) == 1


@pytest.mark.parametrize("account", [{"type": "authorized_user"}, {"private_key": "no key"}, {"client_email": 5}])
def test_a_file_that_is_no_service_account(client_of: ClientOf, start: Start, account: Any) -> None:
    client = client_of(start(account))
    with pytest.raises(openai.InternalServerError, match="service account") as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == "bad_credentials"


@pytest.mark.parametrize(("environ", "code"), [({}, "api_key_env_missing"), ({"KEY": "/no/file"}, "bad_credentials")])
def test_no_file(client_of: ClientOf, start: Start, environ: Any, code: str) -> None:
    client = client_of(start(environ=environ, api_key_env="KEY"))
    with pytest.raises(openai.InternalServerError, match="KEY") as caught:
        client.chat.completions.create(model="gpt", messages=HI)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("location", "host"),
    [("europe-west4", "europe-west4-aiplatform.googleapis.com"), ("global", "aiplatform.googleapis.com")],
)
def test_the_public_address(location: str, host: str) -> None:
    options = {"project": "p", "location": location, "auth": "token"}
    deployment = Deployment(
        name="v", provider="vertex", base_url="", upstream_model="m", options=options, api_key_env="T"
    )
    target = VertexProvider().target(deployment, {"T": "x"})
    assert (target.host, target.base_path) == (host, f"/v1/projects/p/locations/{location}")


@pytest.mark.parametrize("options", [{}, {"project": "p"}, {"location": "l"}])
def test_a_place_is_needed(options: dict[str, str]) -> None:
    deployment = Deployment(name="v", provider="vertex", base_url="", upstream_model="m", options=options)
    with pytest.raises(Invalid, match=r"options\.(project|location)"):
        VertexProvider().target(deployment, {})
