"""A request is read once for all providers: what was asked is there, what was not asked is not refused."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.gateway.providers.chatwords import HARMLESS, data_url, read_chat, stops
from tidegate.kernel.errors import Invalid

HI = [{"role": "user", "content": "Hi"}]


def payload(**fields: Any) -> dict[str, msgspec.Raw]:
    return {name: msgspec.Raw(json.dumps(value).encode()) for name, value in fields.items()}


def test_harmless_fields_and_empty_ones_are_left_out() -> None:
    asked: dict[str, Any] = dict.fromkeys(HARMLESS, "x") | {
        "functions": [],
        "logit_bias": {},
        "audio": None,
        "unheard": None,
        "verbosity": "medium",
    }
    assert read_chat(payload(messages=HI, **asked), "It").messages[0].content == "Hi"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "user", "content": "Hi", "prefix": True}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages[0].content[0].text"),
        ({"n": 0}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
def test_a_fault_names_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_chat(payload(**({"messages": HI} | fields)), "It")
    assert caught.value.param == param


def test_what_is_left_out_stands_in_the_docs() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/providers.md").read_text()
    told = page.partition("### Fields that are left out")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in told for name in HARMLESS)


def test_no_messages_at_all() -> None:
    with pytest.raises(Invalid, match="messages"):
        read_chat({}, "It")


def test_the_newer_bound_wins() -> None:
    assert read_chat(payload(messages=HI, max_tokens=5, max_completion_tokens=7), "It").output_tokens == 7
    assert read_chat(payload(messages=HI, max_tokens=5), "It").output_tokens == 5


def test_one_stop_word_or_several() -> None:
    assert stops(read_chat(payload(messages=HI, stop="a"), "It")) == ["a"]
    assert stops(read_chat(payload(messages=HI, stop=["a", "b"]), "It")) == ["a", "b"]
    assert stops(read_chat(payload(messages=HI), "It")) == []


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("data:image/png;base64,AAAA", ("image/png", "AAAA")),
        ("data:text/plain;charset=utf-8;base64,AA==", ("text/plain", "AA==")),
        ("data:;base64,AAAA", ("text/plain", "AAAA")),
        ("data:image/svg+xml;base64,AAAA", ("image/svg+xml", "AAAA")),
        ("data:image/png,AAAA", None),
        ("data:image/png;base64,AA AA", None),
        ("https://a.example/b.png", None),
    ],
)
def test_data_urls(url: str, found: Any) -> None:
    assert data_url(url) == found
