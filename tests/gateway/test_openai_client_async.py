"""OpenAI's own client, async, against both doors."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.support.gateway import RunningGateway
from tests.support.upstream import ScriptedUpstream
from tests.support.wire import HANG, RST, chat_events, error, stream

HI: Any = [{"role": "user", "content": "Hi"}]


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def client(gateway: RunningGateway) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


async def text_of(chunks: Any) -> str:
    return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices])


async def test_chat_embeddings_and_models(client: AsyncOpenAI) -> None:
    got = await client.chat.completions.create(model="gpt", messages=HI)
    assert got.choices[0].message.content == "Hello there."
    assert (await client.embeddings.create(model="embed", input="x", encoding_format="float")).data[0].embedding
    assert "gpt" in [model.id async for model in client.models.list()]


async def test_many_streams_at_once(client: AsyncOpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.respond = lambda r: stream(chat_events([r.json["messages"][0]["content"], "!"]), pace_s=0.01)

    async def one(number: int) -> str:
        messages: Any = [{"role": "user", "content": str(number)}]
        return await text_of(await client.chat.completions.create(model="gpt", messages=messages, stream=True))

    assert await asyncio.gather(*(one(n) for n in range(30))) == [f"{n}!" for n in range(30)]
    assert {record.ending for record in gateway.wait_records(30)} == {"complete"}


async def test_a_prompt_streamed_by_name(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="prompt:greeting", messages=[], stream=True, extra_body={"variables": {"name": "Ada"}}
    )
    assert raw.headers["x-tidegate-version"] == "greeting@2.0.0"
    assert await text_of(raw.parse()) == "Hello there."


async def test_cancelling_stops_the_upstream(
    client: AsyncOpenAI, gateway: RunningGateway, upstream: ScriptedUpstream
) -> None:
    upstream.respond = lambda _: stream(chat_events()[:2], end=HANG)

    async def read() -> None:
        await text_of(await client.chat.completions.create(model="gpt", messages=HI, stream=True))

    task = asyncio.create_task(read())
    await asyncio.to_thread(upstream.wait, 1)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(upstream.last.hung_up.wait, 1)
    assert gateway.wait_record().ending == "cancelled"


@pytest.mark.parametrize(
    ("key", "status", "raised"),
    [
        ("sk-wrong", None, openai.AuthenticationError),
        ("sk-test", 429, openai.RateLimitError),
        ("sk-test", 503, openai.InternalServerError),
    ],
)
async def test_errors_are_mapped(
    client: AsyncOpenAI, upstream: ScriptedUpstream, key: str, status: int | None, raised: Any
) -> None:
    if status:
        upstream.say(error(status))
    with pytest.raises(raised):
        await client.with_options(api_key=key).chat.completions.create(model="gpt", messages=HI)


async def test_a_cut_stream_is_raised(client: AsyncOpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(stream(chat_events()[:3], end=RST))
    with pytest.raises(openai.APIError) as caught:
        await text_of(await client.chat.completions.create(model="gpt", messages=HI, stream=True))
    assert caught.value.code == "provider_cut"
