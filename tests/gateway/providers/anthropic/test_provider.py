"""Where Anthropic is, with which headers it is asked, and what it answers when it is not itself."""

import json
from typing import Any

import pytest

from tests.support.calls import a_call, an_ask
from tests.support.scene import CHAT
from tidegate.gateway.providers.anthropic.provider import AnthropicProvider
from tidegate.kernel.errors import Invalid, ProviderFailed
from tidegate.live.snapshot import Deployment

MESSAGES = {"model": "gpt", "max_tokens": 5, "messages": CHAT["messages"], "unheard_of": {"a": 1.50}}


def deployment(**given: Any) -> Deployment:
    base = {"name": "a", "provider": "anthropic", "base_url": "", "upstream_model": "claude-sonnet-4-5"}
    return Deployment(**(base | given))


def sent(body: Any, path: str, environ: Any = None, beta: bytes | None = None, **given: Any) -> tuple[str, Any]:
    """The head and the body of what is sent."""
    provider, one, call = AnthropicProvider(), deployment(**given), a_call(body, path=path)
    if beta is not None:
        call.request.headers[b"anthropic-beta"] = beta
    head, _, told = provider.request(provider.target(one, environ or {}), an_ask(call, one)).partition(b"\r\n\r\n")
    return head.decode() + "\r\n", json.loads(told)


def test_the_public_address_and_its_headers() -> None:
    head, body = sent(MESSAGES, "/v1/messages", {"KEY": "sk-ant"}, api_key_env="KEY")
    assert head.startswith("POST /v1/messages HTTP/1.1\r\n")
    for line in ("Host: api.anthropic.com", "x-api-key: sk-ant", "anthropic-version: 2023-06-01"):
        assert f"{line}\r\n" in head
    assert "anthropic-beta" not in head
    assert body == {**MESSAGES, "model": "claude-sonnet-4-5"}


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        ("https://api.anthropic.com", "/v1/messages/count_tokens"),
        ("https://api.anthropic.com/", "/v1/messages/count_tokens"),
        ("https://proxy.example/claude/v1", "/claude/v1/messages/count_tokens"),
    ],
)
def test_an_address_without_a_path_is_completed(base_url: str, path: str) -> None:
    head, _ = sent(MESSAGES, "/v1/messages/count_tokens", base_url=base_url)
    assert head.startswith(f"POST {path} HTTP/1.1\r\n")


def test_the_clients_beta_goes_along() -> None:
    head, _ = sent(MESSAGES, "/v1/messages", beta=b"one-2025-01-01,two")
    assert "anthropic-beta: one-2025-01-01,two\r\n" in head
    for wrong in (b"a\r\nx-evil: 1", b"", b"a" * 3000, b"\xff"):
        with pytest.raises(Invalid) as caught:
            sent(MESSAGES, "/v1/messages", beta=wrong)
        assert caught.value.param == "anthropic-beta"


def test_thoughts_of_another_family_are_not_sent_there() -> None:
    unsigned = {"type": "thinking", "thinking": 'It said "signature":"".', "signature": ""}
    signed = {**unsigned, "signature": "sig"}
    said = {"type": "text", "text": '"signature":""'}
    hi = {"role": "user", "content": '"signature":""'}
    turns = [
        hi,
        {"role": "assistant", "content": [unsigned, signed, said]},
        hi,
        {"role": "assistant", "content": [unsigned]},
        hi,
    ]
    _, body = sent({**MESSAGES, "messages": turns}, "/v1/messages")
    assert body["messages"] == [hi, {"role": "assistant", "content": [signed, said]}, hi, hi]
    nonsense = [{"role": "user", "content": [{"type": 5, "signature": ""}]}, 7]
    _, body = sent({**MESSAGES, "messages": nonsense}, "/v1/messages")
    assert body["messages"] == nonsense


def test_a_key_that_is_named_and_missing_is_a_fault() -> None:
    target = AnthropicProvider().target(deployment(api_key_env="KEY"), {})
    assert target.fault is not None
    assert target.fault.code == "api_key_env_missing"


def test_the_models_own_bound_stands_in_for_a_missing_one() -> None:
    _, body = sent(CHAT, "/v1/chat/completions", max_output_tokens=99)
    assert body["max_tokens"] == 99


def test_a_proxys_page_is_told_in_anthropics_shape() -> None:
    call = a_call(MESSAGES, path="/v1/messages")
    reply = AnthropicProvider().read(an_ask(call, deployment()), 500, {}, b"<html>Bad gateway")
    told = json.loads(reply.body)
    assert (reply.status, told["error"]["type"], told["request_id"]) == (500, "api_error", call.call_id)
    assert "Bad gateway" in told["error"]["message"]


def test_a_404_without_words_is_about_the_address() -> None:
    with pytest.raises(ProviderFailed, match="base_url"):
        AnthropicProvider().read(an_ask(a_call(MESSAGES, path="/v1/messages")), 404, {}, b"<html>")


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"type": "completion"}', b"\xff", b'{"type": "message", "content": 5}']
)
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions", "/v1/messages/count_tokens"])
def test_what_is_no_answer(body: bytes, path: str) -> None:
    with pytest.raises(ProviderFailed) as caught:
        AnthropicProvider().read(an_ask(a_call(MESSAGES, path=path)), 200, {}, body)
    assert caught.value.code == "provider_bad_answer"
