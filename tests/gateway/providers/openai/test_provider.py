"""What goes upstream: the client's own body, byte for byte, but for the model's name and usage in streams."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat
from tests.support.calls import a_call, an_ask
from tests.support.gateway import RunningGateway
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.gateway.call import Call
from tidegate.gateway.providers.openai.provider import OpenAIProvider
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment

DEPLOYMENT = Deployment(name="main", provider="openai", base_url="http://127.0.0.1:1/v1", upstream_model="up-model")

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
BODIES = st.dictionaries(
    st.text(max_size=8).filter(lambda name: name not in ("model", "stream", "n")), VALUES, max_size=6
)


def sent_body(call: Call) -> bytes:
    """The body of the request that the call becomes."""
    provider = OpenAIProvider()
    return provider.request(provider.target(DEPLOYMENT, {}), an_ask(call, DEPLOYMENT)).partition(b"\r\n\r\n")[2]


@given(body=BODIES, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_any_object_passes_unchanged_but_for_the_model(
    body: dict[str, Any], indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps({**body, "model": "gpt"}, indent=indent, ensure_ascii=ascii_only)
    call = a_call()
    call.payload = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    before = {name: bytes(raw) for name, raw in call.payload.items()}
    sent = msgspec.json.decode(sent_body(call), type=dict[str, msgspec.Raw])
    assert {name: bytes(raw) for name, raw in sent.items()} == before | {"model": b'"up-model"'}
    assert list(sent) == list(before)


@given(options=st.none() | st.dictionaries(st.sampled_from(["include_usage", "include_obfuscation", "x"]), VALUES))
def test_a_stream_asks_for_usage_and_keeps_its_other_options(options: dict[str, Any] | None) -> None:
    call = a_call({**CHAT, "stream": True, "stream_options": options})
    sent = json.loads(sent_body(call))["stream_options"]
    if options and options.get("include_usage"):
        assert sent == options
    else:
        assert sent == {**(options or {}), "include_usage": True}


def test_numbers_keep_their_digits(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = b'{"model":"gpt","messages":[],"seed":12345678901234567890123,"temperature":0.10,"x":1e400,"y":"\\u00e9\\/"}'
    assert ask(gateway, "/v1/chat/completions", body).status == 200
    assert upstream.last.body == body.replace(b'"gpt"', b'"up-model"')


def test_a_name_that_comes_twice_goes_on_once(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    body = b'{"model":"nothing","messages":[],"model":"gpt","user":"a","user":"b"}'
    assert ask(gateway, "/v1/chat/completions", body).status == 200
    assert upstream.last.body == b'{"model":"up-model","messages":[],"user":"b"}'


@pytest.mark.parametrize(
    ("path", "upstream_path", "body"),
    [
        ("/v1/chat/completions", "/v1/chat/completions", CHAT),
        ("/v1/completions", "/v1/completions", {"model": "gpt", "prompt": "x"}),
        ("/v1/embeddings", "/v1/embeddings", {"model": "gpt", "input": ["x"]}),
    ],
)
def test_every_endpoint_has_its_own_path(
    gateway: RunningGateway, upstream: ScriptedUpstream, path: str, upstream_path: str, body: dict[str, Any]
) -> None:
    assert ask(gateway, path, body).status == 200
    assert (upstream.last.method, upstream.last.path) == ("POST", upstream_path)
    assert upstream.last.headers["host"] == f"127.0.0.1:{upstream.port}"
    assert upstream.last.headers["content-type"] == "application/json"


def test_the_upstreams_key_is_ours_and_from_the_environment(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(
        api_key_env="UP_KEY", environ={"UP_KEY": " sk-upstream\n"}, headers={"X-Org": "o1", "user-agent": "us"}
    )
    assert ask_chat(gateway).status == 200
    headers = upstream.last.headers
    assert (headers["authorization"], headers["x-org"], headers["user-agent"]) == ("Bearer sk-upstream", "o1", "us")


@pytest.mark.parametrize(
    ("fields", "environ", "code"),
    [
        ({"api_key_env": "UP_KEY"}, {}, "api_key_env_missing"),
        ({"api_key_env": "UP_KEY"}, {"UP_KEY": "  "}, "api_key_env_missing"),
        ({"api_key_env": "UP_KEY"}, {"UP_KEY": "a\nX-Injected: b"}, "invalid_header"),
        ({"api_key_env": "UP_KEY"}, {"UP_KEY": "schlüssel\u2019"}, "invalid_header"),
        ({"headers": {"Content-Length": "0"}}, {}, "invalid_header"),
        ({"headers": {"X Y": "0"}}, {}, "invalid_header"),
        ({"base_url": "ftp://host/v1"}, {}, "invalid_base_url"),
        ({"base_url": "http://host:99999/v1"}, {}, "invalid_base_url"),
        ({"base_url": "http://host/v 1"}, {}, "invalid_base_url"),
        ({"base_url": "http://host/v1?key=a"}, {}, "invalid_base_url"),
        ({"provider": "martian"}, {}, "unknown_provider"),
    ],
)
def test_a_model_that_cannot_be_called_refuses_and_leaves_the_others_served(
    start: Start, upstream: ScriptedUpstream, fields: dict[str, Any], environ: dict[str, str], code: str
) -> None:
    gateway = start(environ=environ, **fields)
    for _ in range(2):
        reply = ask_chat(gateway)
        assert (reply.status, reply.error["code"]) == (502, code)
        assert "sk-" not in reply.error["message"]
        assert "Injected" not in reply.error["message"]
    world = snapshot_of(upstream.url)
    gateway.push(changed(world, generation=99))
    assert ask_chat(gateway).status == 200


def test_a_target_names_what_is_wrong_with_it() -> None:
    with pytest.raises(Invalid, match="base_url of 'main'"):
        OpenAIProvider().target(msgspec.structs.replace(DEPLOYMENT, base_url="file:///etc/passwd"), {})
