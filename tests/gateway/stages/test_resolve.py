"""What is asked for: bodies of every kind, models and their aliases, and what a key may ask for."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat
from tests.support.calls import a_call
from tests.support.gateway import RunningGateway
from tests.support.scene import CHAT
from tests.support.upstream import ScriptedUpstream
from tidegate.gateway.call import Call, Reply
from tidegate.gateway.stages.resolve import Resolve
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.live.snapshot import KeyGrant

PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"model": "gpt"', "not JSON"),
        (b"{'model': 'gpt'}", "not JSON"),
        (b'{"model": "gpt",}', "not JSON"),
        (b'{"model": "gpt"} {}', "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"gpt"', "not a JSON object"),
        (b"\xff\xfe", "not JSON"),
        (b'{"\xff": 1}', "not JSON"),
        (b'{"model": "gpt", "messages": [{"role": "user", "content": "\xff\xfe"}]}', "not JSON"),
        (b'{"model": "\\ud800"}', "not JSON"),
        (b'{"model": NaN}', "not JSON"),
        (b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_object_is_400(
    gateway: RunningGateway, upstream: ScriptedUpstream, body: bytes, words: str
) -> None:
    reply = ask(gateway, PATH, body)
    assert (reply.status, reply.error["type"]) == (400, "invalid_request_error")
    assert reply.error["code"] in ("invalid_json", "invalid_type")
    assert words in reply.error["message"]
    record = gateway.wait_record()
    assert (record.ending, record.status) == ("refused", 400)
    assert upstream.received == []


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("model", 5, "a string"),
        ("model", None, "a string"),
        ("model", ["gpt"], "a string"),
        ("messages", "Hi", "an array"),
        ("messages", {"role": "user"}, "an array"),
        ("stream", "yes", "true or false"),
        ("stream", 1, "true or false"),
        ("user", 5, "a string"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(gateway: RunningGateway, field: str, value: Any, what: str) -> None:
    reply = ask(gateway, PATH, {**CHAT, field: value})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_type", field)
    assert f"The field `{field}` must be {what}. It was {json.dumps(value)[:60]}." in reply.error["message"]


def test_stream_options_of_the_wrong_type_are_named(gateway: RunningGateway) -> None:
    reply = ask_chat(gateway, stream=True, stream_options=[])
    assert (reply.status, reply.error["param"]) == (400, "stream_options")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PATH, {"messages": []}, "model"),
        (PATH, {"model": "gpt"}, "messages"),
        ("/v1/completions", {"model": "gpt"}, "prompt"),
        ("/v1/embeddings", {"model": "gpt"}, "input"),
    ],
)
def test_a_field_that_is_missing_is_named(gateway: RunningGateway, path: str, body: dict[str, Any], field: str) -> None:
    reply = ask(gateway, path, body)
    assert (reply.status, reply.error["code"]) == (400, "missing_required_parameter")
    assert reply.error["param"] == field


@pytest.mark.parametrize(("field", "value"), [("stream", None), ("stream", False), ("user", None), ("n", None)])
def test_null_is_as_good_as_absent(gateway: RunningGateway, upstream: ScriptedUpstream, field: str, value: Any) -> None:
    upstream_body = {**CHAT, field: value}
    reply = ask(gateway, PATH, upstream_body)
    assert reply.status == 200
    assert upstream.last.json == {**upstream_body, "model": "up-model"}
    assert gateway.wait_record().unit is None


# Models.


def test_an_alias_leads_to_its_deployment_by_environment(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    assert ask_chat(gateway).status == 200
    assert upstream.last.json["model"] == "up-model"
    assert ask_chat(gateway, "sk-staging").status == 200
    assert upstream.last.json["model"] == "other-model"
    first, second = gateway.wait_records(2)
    assert (first.route, first.deployment, first.upstream_model, first.model_requested) == (
        "gpt",
        "main",
        "up-model",
        "gpt",
    )
    assert (second.route, second.deployment, second.environment) == ("gpt", "other", "staging")
    assert first.cost_nano_usd is not None
    assert second.cost_nano_usd is None


def test_a_deployment_may_be_asked_for_by_its_own_name(gateway: RunningGateway, upstream: ScriptedUpstream) -> None:
    assert ask_chat(gateway, model="other").status == 200
    assert upstream.last.json["model"] == "other-model"


@pytest.mark.parametrize(
    ("asked", "offered"), [("gtp", "Did you mean gpt?"), ("zzz", "Known: embed, gpt, main, other.")]
)
def test_an_unknown_model_is_404_with_the_nearest_names(gateway: RunningGateway, asked: str, offered: str) -> None:
    reply = ask_chat(gateway, model=asked)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
    assert f"There is no model named {asked!r}. {offered}" in reply.error["message"]
    assert gateway.wait_record().model_requested == asked


def test_a_model_of_endless_name_is_refused_at_once(gateway: RunningGateway) -> None:
    reply = ask_chat(gateway, model="x" * 500_000)
    assert (reply.status, reply.error["param"]) == (400, "model")
    assert len(reply.body) < 500
    assert len(gateway.wait_record().model_requested or "") == 256


def test_a_key_may_use_the_models_that_it_names(gateway: RunningGateway) -> None:
    assert ask_chat(gateway, "sk-narrow").status == 200
    for model in ("other", "main", "embed", "nothing"):
        reply = ask_chat(gateway, "sk-narrow", model=model)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (403, "model_not_allowed", "model")
        assert "It may use: gpt." in reply.error["message"]


# Units.


def test_the_unit_is_the_header_else_the_user(gateway: RunningGateway) -> None:
    ask_chat(gateway, user="u1")
    ask_chat(gateway, user="u1", headers=("x-tidegate-unit: u2",))
    ask_chat(gateway, user="")
    ask_chat(gateway, user="x" * 1000)
    assert [record.unit and record.unit[:256] for record in gateway.wait_records(4)] == ["u1", "u2", None, "x" * 256]


FIELDS = st.sampled_from(["model", "messages", "stream", "stream_options", "variables", "user"])
JUNK = st.recursive(
    st.none() | st.integers() | st.text(max_size=4) | st.sampled_from(["gpt", "prompt:greeting", True]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner),
    max_leaves=8,
)


async def _reached(_: Call) -> Reply:
    return Reply(200, [])


@given(st.binary(max_size=80) | JUNK.map(lambda value: json.dumps(value).encode()))
async def test_any_body_is_resolved_or_refused(body: bytes) -> None:
    call = a_call()
    call.request.body = body
    call.grant = KeyGrant(key_id="k", name="k")
    with contextlib.suppress(Invalid, NotFound):
        reply = await Resolve()(call, _reached)
        assert reply.status == 200
        assert call.deployment is not None
