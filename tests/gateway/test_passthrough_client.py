"""OpenAI's own client on the endpoints that are passed on: images, audio, files, batches, moderations, rerank."""

import io
import json
import time
from collections.abc import Iterator, Sequence

import openai
import pytest
from openai import OpenAI

from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, get, post
from tests.support.scene import Start, changed, snapshot_of
from tests.support.upstream import Received, ScriptedUpstream
from tests.support.wire import RST, Step, answer, error, head
from tidegate.live.snapshot import LimitRule, Retry, Route

SOUND = bytes(range(256)) * 2048
AT = {"x-tidegate-model": "gpt"}
FILE = {
    "id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch",
    "status": "processed",
}  # fmt: skip
BATCH = {
    "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-1",
    "completion_window": "24h", "status": "validating", "created_at": 1,
}  # fmt: skip


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(gateway: RunningGateway, upstream: ScriptedUpstream) -> Iterator[OpenAI]:
    upstream.respond = respond
    with OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0, timeout=5) as client:
        yield client


def respond(received: Received) -> Sequence[Step]:
    """What an upstream with all of OpenAI's API answers."""
    method, path = received.method, received.path.partition("?")[0].removeprefix("/v1")
    answers: dict[tuple[str, str], object] = {
        ("POST", "/images/generations"): {
            "created": 1,
            "data": [{"b64_json": "aGk="}],
            "usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        },
        ("POST", "/audio/transcriptions"): {"text": "Hello there."},
        ("POST", "/files"): FILE,
        ("GET", "/files"): {"object": "list", "data": [FILE], "has_more": False},
        ("GET", "/files/file-1"): FILE,
        ("DELETE", "/files/file-1"): {"id": "file-1", "object": "file", "deleted": True},
        ("POST", "/batches"): BATCH,
        ("GET", "/batches/batch_1"): BATCH,
        ("POST", "/batches/batch_1/cancel"): {**BATCH, "status": "cancelling"},
        ("POST", "/moderations"): {"id": "m", "model": "up-model", "results": []},
        ("POST", "/rerank"): {"results": [{"index": 0, "relevance_score": 0.5}], "usage": {"total_tokens": 9}},
    }
    if path in ("/audio/speech", "/files/file-1/content"):
        return answer(SOUND, content_type="audio/mpeg")
    return answer(answers[method, path])


def test_images(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    made = client.images.generate(model="gpt", prompt="a tide", n=1)
    assert made.data is not None
    assert made.data[0].b64_json == "aGk="
    assert upstream.last.json == {"model": "up-model", "prompt": "a tide", "n": 1}
    assert "sk-test" not in str(upstream.last.headers)
    record = gateway.wait_record()
    assert (record.endpoint, record.deployment, record.status) == ("images.generations", "main", 200)
    assert (record.input_tokens, record.output_tokens, record.cost_nano_usd) == (5, 7, None)


def test_speech_is_streamed_bytes(client: OpenAI, gateway: RunningGateway) -> None:
    with client.audio.speech.with_streaming_response.create(model="gpt", voice="alloy", input="Hi") as spoken:
        assert spoken.headers["content-type"] == "audio/mpeg"
        assert b"".join(spoken.iter_bytes()) == SOUND
    record = gateway.wait_record()
    assert (record.endpoint, record.ending, record.cost_nano_usd) == ("audio.speech", "complete", None)


def test_a_form_goes_on_byte_for_byte_but_for_the_model(client: OpenAI, upstream: ScriptedUpstream) -> None:
    said = client.audio.transcriptions.create(model="gpt", file=("a.mp3", SOUND), language="en")
    assert said.text == "Hello there."
    kind = upstream.last.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    body = upstream.last.body
    assert b'name="model"\r\n\r\nup-model\r\n' in body
    assert b'name="language"\r\n\r\nen\r\n' in body
    assert SOUND in body
    assert int(upstream.last.headers["content-length"]) == len(body)


def test_files(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    made = client.files.create(file=("a.jsonl", io.BytesIO(b"{}\n")), purpose="batch", extra_headers=AT)
    assert made.id == "file-1"
    assert b"{}\n" in upstream.last.body
    assert [one.id for one in client.files.list(limit=3, extra_query=AT)] == ["file-1"]
    assert upstream.last.path == "/v1/files?limit=3"
    assert client.files.retrieve("file-1", extra_headers=AT).filename == "a.jsonl"
    assert client.files.content("file-1", extra_headers=AT).read() == SOUND
    assert client.files.delete("file-1", extra_headers=AT).deleted
    assert upstream.last.method == "DELETE"
    names = [record.endpoint for record in gateway.wait_records(5)]
    assert names == ["files.create", "files.list", "files.get", "files.content", "files.delete"]


def test_batches_keep_their_body(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h", extra_headers=AT
    )
    assert made.status == "validating"
    assert "model" not in upstream.last.json
    assert client.batches.retrieve("batch_1", extra_headers=AT).id == "batch_1"
    assert client.batches.cancel("batch_1", extra_headers=AT).status == "cancelling"


def test_moderations_and_rerank(client: OpenAI, gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    assert client.moderations.create(model="gpt", input="hm").results == []
    client.moderations.create(input="hm", extra_headers=AT)
    assert upstream.last.json["model"] == "up-model"
    with Wire(gateway.port) as wire:
        assert wire.ask(post("/v1/rerank", {"model": "gpt", "query": "q", "documents": ["d"]})).status == 200
    assert gateway.wait_record(3).input_tokens == 9


def test_files_without_a_model_are_told_how_to_name_one(client: OpenAI, upstream: ScriptedUpstream) -> None:
    with pytest.raises(openai.BadRequestError, match="x-tidegate-model") as caught:
        client.files.list()
    assert caught.value.code == "missing_required_parameter"
    assert upstream.received == []


def test_errors_of_the_upstream_have_openais_shape(client: OpenAI, upstream: ScriptedUpstream) -> None:
    upstream.say(error(400, "No such size.", code="bad_size"))
    with pytest.raises(openai.BadRequestError, match="No such size"):
        client.images.generate(model="gpt", prompt="x")
    upstream.say(answer(b"<html>", 401, content_type="text/html"))
    with pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(model="gpt", prompt="x")
    assert caught.value.status_code == 502


def test_a_cut_answer_never_looks_whole(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    upstream.say((head(content_type="audio/mpeg") + b"Content-Length: 900\r\n\r\n" + b"x" * 100, RST))
    with Wire(gateway.port) as wire:
        wire.send(post("/v1/audio/speech", {"model": "gpt", "input": "Hi"}))
        assert wire.head().status == 200
        assert b"0\r\n\r\n" not in wire.rest()
    record = gateway.wait_record()
    assert (record.ending, record.error_code) == ("cut", "provider_cut")


def test_what_may_have_begun_is_not_begun_again(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    route = Route(alias="gpt", deployment="main", fallbacks=("other",), retry=Retry(attempts=3))
    gateway = start(changed(world, routes={"gpt": route}))
    upstream.respond = respond
    upstream.say((RST,))
    with Wire(gateway.port) as wire:
        assert wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"})).status == 502
    assert len(upstream.received) == 1


def test_a_connection_that_fails_leads_elsewhere(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url)
    nowhere = snapshot_of("http://127.0.0.1:9/v1").deployments["main"]
    route = Route(alias="gpt", deployment="main", fallbacks=("other",))
    gateway = start(changed(world, routes={"gpt": route}, deployments={**world.deployments, "main": nowhere}))
    upstream.respond = respond
    with Wire(gateway.port) as wire:
        assert wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"})).status == 200
    assert gateway.wait_record().deployment == "other"
    assert upstream.last.json["model"] == "other-model"


def test_other_providers_have_none_of_it(start: Start) -> None:
    gateway = start(provider="anthropic")
    with Wire(gateway.port) as wire:
        reply = wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"}))
    assert (reply.status, reply.error["code"]) == (404, "unsupported_endpoint")
    assert "/v1/chat/completions" in reply.error["message"]


@pytest.mark.parametrize("hard", [True, False])
def test_a_hard_budget_refuses_what_it_cannot_bound(start: Start, upstream: ScriptedUpstream, hard: bool) -> None:
    rule = LimitRule(name="all", unit="nano_usd", cap=10**12, per="day", hard=hard)
    gateway = start(changed(snapshot_of(upstream.url), limits=(rule,)))
    upstream.respond = respond
    with Wire(gateway.port) as wire:
        reply = wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"}))
    assert reply.status == (429 if hard else 200)
    if hard:
        assert reply.error["code"] == "price_unknown"
        assert upstream.received == []


def test_limits_of_requests_count_it(start: Start, upstream: ScriptedUpstream) -> None:
    rule = LimitRule(name="two", unit="requests", cap=2, per="day")
    gateway = start(changed(snapshot_of(upstream.url), limits=(rule,)))
    upstream.respond = respond
    with Wire(gateway.port) as wire:
        said = [wire.ask(get("/v1/files", headers=["x-tidegate-model: gpt"])).status for _ in range(3)]
    assert said == [200, 200, 429]


def form(*parts: tuple[str, bytes], before: bytes = b"", after: bytes = b"") -> bytes:
    made = b"".join(
        f"--b\r\nContent-Disposition: form-data; {name}\r\n\r\n".encode() + value + b"\r\n" for name, value in parts
    )
    return before + made + b"--b--" + after


FORMS = {
    "model twice": form(('name="model"', b"gpt"), ('name="model"', b"other")),
    "model in another coding": form(('name="model"', b"gpt"), ("name*=utf-8''model", b"other")),
    "model escaped": form(('name="model"', b"gpt"), ('name="mod\\el"', b"other")),
    "two names": form(('name="x"; name="model"', b"gpt")),
    "a preamble": form(('name="model"', b"gpt"), before=b"x\r\n"),
    "an epilogue": form(('name="model"', b"gpt"), after=b"\r\n--b\r\n"),
    "no end": form(('name="model"', b"gpt"))[:-5],
    "a long model": form(('name="model"', b"g" * 5000)),
    "parts without end": form(*[('name="x"', b"")] * 1000),
    "a head without end": b"--b\r\n" + b"x" * 100_000,
    "no disposition": b"--b\r\nX: y\r\n\r\n1\r\n--b--",
    "empty": b"",
}


@pytest.mark.parametrize("what", FORMS)
def test_forms_that_could_be_read_in_two_ways_are_refused(
    gateway: RunningGateway, upstream: ScriptedUpstream, what: str
) -> None:
    ask = post("/v1/audio/transcriptions", FORMS[what], key="sk-narrow").replace(
        b"application/json", b"multipart/form-data; boundary=b", 1
    )
    with Wire(gateway.port) as wire:
        reply = wire.ask(ask)
    assert (reply.status, reply.error["code"]) == (400, "invalid_form")
    assert upstream.received == []


def test_a_key_is_held_to_its_models(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    with Wire(gateway.port) as wire:
        for ask in (
            post("/v1/images/generations", {"model": "embed", "prompt": "x"}, key="sk-narrow"),
            get("/v1/files", key="sk-narrow", headers=["x-tidegate-model: embed"]),
            get("/v1/files?x-tidegate-model=embed", key="sk-narrow"),
            post("/v1/images/generations", b'{"model": "gpt", "model": "embed"}', key="sk-narrow"),
        ):
            assert wire.ask(ask).status == 403
    assert upstream.received == []
    assert json.dumps([record.error_code for record in gateway.wait_records(4)]).count("model_not_allowed") == 4


def test_a_slow_reader_holds_the_upstream_back(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    size, count = 1 << 20, 48
    start = head(content_type="audio/mpeg") + b"Content-Length: %d\r\n\r\n" % (size * count)
    upstream.say((start, *[b"x" * size] * count))
    with Wire(gateway.port, receive_buffer=1 << 16) as wire:
        wire.send(post("/v1/audio/speech", {"model": "gpt", "input": "Hi"}))
        assert wire.head().status == 200
        time.sleep(0.3)
        assert upstream.last.steps_played < count / 2
        assert sum(map(len, iter(wire.chunk, b""))) == size * count


AZURE = [
    ({}, "/openai/v1/images/generations"),
    ({"api_version": "preview"}, "/openai/v1/images/generations?api-version=preview"),
    ({"api_version": "2024-10-21"}, None),
]


@pytest.mark.parametrize(("options", "path"), AZURE)
def test_azure_has_it_under_v1(
    start: Start, upstream: ScriptedUpstream, options: dict[str, str], path: str | None
) -> None:
    gateway = start(
        provider="azure",
        base_url=upstream.url.removesuffix("/v1"),
        options=options,
        api_key_env="K",
        environ={"K": "z"},
    )
    upstream.respond = lambda _: answer({"data": []})
    with Wire(gateway.port) as wire:
        reply = wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"}))
    assert reply.status == (200 if path else 404)
    assert [(one.path, one.headers["api-key"]) for one in upstream.received] == ([(path, "z")] if path else [])


def test_a_model_without_its_key_leads_elsewhere(start: Start, upstream: ScriptedUpstream) -> None:
    world = snapshot_of(upstream.url, api_key_env="UNSET")
    other = snapshot_of(upstream.url).deployments["other"]
    route = Route(alias="gpt", deployment="main", fallbacks=("other",))
    gateway = start(changed(world, routes={"gpt": route}, deployments={**world.deployments, "other": other}))
    upstream.respond = respond
    with Wire(gateway.port) as wire:
        assert wire.ask(post("/v1/images/generations", {"model": "gpt", "prompt": "x"})).status == 200
    assert gateway.wait_record().trace == "main:api_key_env_missing > other:200"
