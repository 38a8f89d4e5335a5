"""Where Gemini is, and with which key it is asked."""

from typing import Any

import pytest

from tests.support.calls import a_call, an_ask
from tidegate.gateway.providers.gemini.provider import GeminiProvider
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import Deployment


def head_of(environ: dict[str, str], **given: Any) -> str:
    base = {"name": "g", "provider": "gemini", "base_url": "", "upstream_model": "gemini-2.5-flash"}
    provider, one = GeminiProvider(), Deployment(**(base | given))
    return provider.request(provider.target(one, environ), an_ask(a_call(), one)).decode()


def test_the_public_address_and_the_key_in_a_header() -> None:
    told = head_of({"KEY": "AIza"}, api_key_env="KEY")
    assert told.startswith("POST /v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\n")
    assert "Host: generativelanguage.googleapis.com\r\n" in told
    assert "x-goog-api-key: AIza\r\n" in told


def test_the_models_full_name_is_the_same_model() -> None:
    assert head_of({}, upstream_model="models/gemini-2.5-flash").startswith("POST /v1beta/models/gemini-2.5-flash:")


def test_a_key_cannot_smuggle_headers() -> None:
    with pytest.raises(Invalid, match="cannot carry"):
        head_of({"KEY": "a\r\nX-Evil: 1"}, api_key_env="KEY")


def test_a_header_of_the_deployment_is_stronger_than_ours() -> None:
    told = head_of({}, headers={"User-Agent": "mine"})
    assert "User-Agent: mine\r\n" in told
    assert "User-Agent: tidegate" not in told
