"""Who calls: keys of every kind and where they are sent, scopes, and tags."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat, fetch
from tests.support.gateway import RunningGateway
from tests.support.http1 import Wire, get
from tests.support.upstream import ScriptedUpstream
from tidegate.gateway.stages.identify import MAX_TAGS, _tags
from tidegate.kernel.errors import Invalid
from tidegate.live.snapshot import KeyGrant

GRANT = KeyGrant(key_id="k", name="k", tags={"team": "blue"})


@pytest.mark.parametrize(
    "line",
    ["Authorization: Bearer sk-test", "authorization: bearer  sk-test ", "x-api-key: sk-test", "API-Key: sk-test"],
)
def test_a_key_is_found_where_clients_send_it(gateway: RunningGateway, line: str) -> None:
    with Wire(gateway.port) as wire:
        assert wire.ask(get("/v1/models", key=None, headers=[line])).status == 200


@pytest.mark.parametrize(
    ("key", "code", "words"),
    [
        (None, "missing_api_key", "No API key was sent. Send `Authorization: Bearer KEY`"),
        ("sk-wrong", "invalid_api_key", "not known here"),
        ("", "invalid_api_key", "not known here"),
        ("sk-revoked", "key_revoked", "'gone' was revoked on 2020-09-13"),
        ("sk-expired", "key_expired", "'old' expired on 2020-09-13"),
    ],
)
def test_no_living_key_is_401_and_says_why(
    gateway: RunningGateway, upstream: ScriptedUpstream, key: str | None, code: str, words: str
) -> None:
    if key == "":
        with Wire(gateway.port) as wire:
            reply = wire.ask(get("/v1/models", key=None, headers=["Authorization: Bearer "]))
    else:
        reply = ask_chat(gateway, key)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (401, code, "authentication_error")
    assert words in reply.error["message"]
    assert upstream.received == []


def test_a_key_that_ended_is_noted_with_its_refusals(gateway: RunningGateway) -> None:
    ask_chat(gateway, "sk-revoked")
    ask_chat(gateway, "sk-wrong")
    records = gateway.wait_records(2)
    assert [(r.key_id, r.ending, r.error_code) for r in records] == [
        ("key_revoked", "refused", "key_revoked"),
        (None, "refused", "invalid_api_key"),
    ]


def test_a_key_may_have_an_end_that_is_still_to_come(gateway: RunningGateway) -> None:
    assert ask_chat(gateway, "sk-fresh").status == 200


def test_two_keys_are_none(gateway: RunningGateway) -> None:
    with Wire(gateway.port) as wire:
        reply = wire.ask(get("/v1/models", headers=["Authorization: Bearer sk-narrow"]))
    assert reply.status == 401


@pytest.mark.parametrize(
    ("key", "path", "scope"), [("sk-prompts", "/v1/models", "inference"), ("sk-narrow", "/v1/prompts", "prompts")]
)
def test_a_key_without_the_scope_is_403_and_told_how_to_get_it(
    gateway: RunningGateway, key: str, path: str, scope: str
) -> None:
    reply = fetch(gateway, path, key=key)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (403, "permission_denied", "permission_error")
    assert f"lacks the scope {scope!r}" in reply.error["message"]
    assert f"--scope {scope}" in reply.error["message"]


# Tags.


def test_a_calls_tags_stand_beside_the_keys_own(gateway: RunningGateway) -> None:
    ask_chat(gateway, headers=("x-tidegate-tags: step = draft ,team=red,empty=, q=a=b",))
    assert gateway.wait_record().tags == {"step": "draft", "team": "blue", "empty": "", "q": "a=b"}


@pytest.mark.parametrize(
    "value", ["nonsense", "=x", "a=1,,b", ",".join(f"t{n}=1" for n in range(MAX_TAGS + 1)), "a=" + "x" * 5000]
)
def test_tags_that_cannot_be_read_are_refused(gateway: RunningGateway, value: str) -> None:
    reply = ask_chat(gateway, headers=(f"x-tidegate-tags: {value}",))
    assert (reply.status, reply.error["code"]) == (400, "invalid_tags")
    assert "NAME=VALUE" in reply.error["message"]


def test_a_body_too_large_is_told_to_who_has_a_key(gateway: RunningGateway) -> None:
    body = json.dumps({"model": "gpt", "messages": [], "pad": "x" * (2 << 20)}).encode()
    assert ask(gateway, "/v1/chat/completions", body).status == 413
    assert ask(gateway, "/v1/chat/completions", body, key="sk-wrong").status == 401


@given(st.binary(max_size=60))
def test_any_tags_are_read_or_refused(header: bytes) -> None:
    with contextlib.suppress(Invalid):
        tags = _tags(header, GRANT)
        assert tags["team"] == "blue"
        assert all(tags)


@given(st.dictionaries(st.text("abc-_.", min_size=1, max_size=6), st.text("xyz=/ ", max_size=6), max_size=MAX_TAGS))
def test_tags_say_what_was_written(tags: dict[str, str]) -> None:
    header = ", ".join(f"{name}={value}" for name, value in tags.items()).encode()
    assert _tags(header, GRANT) == {name: value.strip() for name, value in tags.items()} | GRANT.tags
