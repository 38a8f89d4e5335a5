"""POST /v1/feedback: scores of calls, stored before they are answered, or refused with what is wrong."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.asking import ask, ask_chat, fetch
from tests.support.calls import a_call
from tests.support.gateway import RunningGateway
from tests.support.http1 import Reply
from tests.support.scene import Start
from tidegate.adapters.memory.feedbacks import MemoryFeedbacks
from tidegate.gateway.feedback import FeedbackLog
from tidegate.gateway.stages.feedback import MAX_SCORES, TakeFeedback
from tidegate.kernel.errors import Invalid
from tidegate.kernel.ids import new_id
from tidegate.live.snapshot import KeyGrant

PATH = "/v1/feedback"
CALL_ID = "call_019a5c0e7b2100112233445566778899"
GOOD = {"call_id": CALL_ID, "name": "resolved", "value": True}


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def give(gateway: RunningGateway, body: object = GOOD, key: str | None = "sk-test", **headers: str) -> Reply:
    lines = tuple(f"{name.replace('_', '-')}: {text}" for name, text in headers.items())
    return ask(gateway, PATH, body, key=key, headers=lines)


def stored(gateway: RunningGateway) -> list[tuple[str, str, float]]:
    return [(one.call_id, one.name, one.value) for one in gateway.feedbacks.stored]


# What is taken.


def test_a_score_is_stored_before_it_is_answered(gateway: RunningGateway) -> None:
    call_id = ask_chat(gateway).headers["x-request-id"]
    reply = give(gateway, {"call_id": call_id, "name": "resolved", "value": True})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    (one,) = gateway.feedbacks.stored
    assert reply.json == {"feedback_id": one.feedback_id, "stored": True}
    assert (one.call_id, one.name, one.value) == (call_id, "resolved", 1.0)
    assert (one.environment, one.key_id) == ("production", "key_test")
    (record,) = gateway.wait_records(1)
    assert record.started_at_ms <= one.at_ms
    assert one.feedback_id.startswith("fb_")


@pytest.mark.parametrize(
    ("value", "number"), [(True, 1.0), (False, 0.0), (0.7, 0.7), (-3, -3.0), (0, 0.0), (1e308, 1e308)]
)
def test_yes_no_and_every_finite_number_are_values(gateway: RunningGateway, value: Any, number: float) -> None:
    assert give(gateway, GOOD | {"value": value}).status == 200
    assert stored(gateway) == [(CALL_ID, "resolved", number)]


def test_several_scores_come_at_once_under_one_id(gateway: RunningGateway) -> None:
    scores = {"resolved": 1, "tone": 0.7, "formal": False}
    reply = give(gateway, {"call_id": CALL_ID, "scores": scores})
    assert reply.status == 200
    assert stored(gateway) == [(CALL_ID, name, float(value)) for name, value in scores.items()]
    assert {one.feedback_id for one in gateway.feedbacks.stored} == {reply.json["feedback_id"]}
    assert gateway.feedbacks.batches == [3]


def test_feedback_is_of_its_givers_environment(gateway: RunningGateway) -> None:
    assert give(gateway, key="sk-staging").status == 200
    (one,) = gateway.feedbacks.stored
    assert (one.environment, one.key_id) == ("staging", "key_staging")


def test_each_time_it_is_new_but_with_an_idempotency_key(gateway: RunningGateway) -> None:
    plain = {give(gateway).json["feedback_id"] for _ in range(2)}
    assert len(plain) == 2
    again = {give(gateway, GOOD | {"value": at}, idempotency_key="one").json["feedback_id"] for at in range(3)}
    assert len(again) == 1
    assert [one.value for one in gateway.feedbacks.stored] == [1.0, 1.0, 0.0]  # of those with a key, the first
    other_call = GOOD | {"call_id": new_id("call")}
    others = {
        give(gateway, idempotency_key="two").json["feedback_id"],
        give(gateway, other_call, idempotency_key="one").json["feedback_id"],
        give(gateway, key="sk-staging", idempotency_key="one").json["feedback_id"],
    }
    assert len(others - again - plain) == 3


def test_it_is_no_call(gateway: RunningGateway) -> None:
    give(gateway)
    give(gateway, {"nonsense": 1})
    assert gateway.do(lambda: (gateway.gateway.journal.waiting, gateway.gateway.meters.in_flight)) == (0, 0)
    assert gateway.records.stored == []
    assert "tidegate_calls_total{" not in fetch(gateway, "/metrics").body.decode()


# What is refused.

WRONG: list[tuple[Any, str, str | None]] = [
    ([], "invalid_feedback", None),
    ({}, "invalid_feedback", None),
    ({"name": "resolved", "value": 1}, "invalid_feedback", None),
    (GOOD | {"call_id": 5}, "invalid_feedback", "call_id"),
    (GOOD | {"call_id": "ada"}, "invalid_call_id", "call_id"),
    (GOOD | {"call_id": CALL_ID[:-1]}, "invalid_call_id", "call_id"),
    (GOOD | {"call_id": CALL_ID.replace("call_", "fb_")}, "invalid_call_id", "call_id"),
    (GOOD | {"call_id": "call_" + CALL_ID}, "invalid_call_id", "call_id"),
    (GOOD | {"call_id": CALL_ID.upper()}, "invalid_call_id", "call_id"),
    ({"call_id": CALL_ID}, "missing_required_parameter", "name"),
    ({"call_id": CALL_ID, "name": "resolved"}, "missing_required_parameter", "value"),
    ({"call_id": CALL_ID, "value": 1}, "missing_required_parameter", "name"),
    (GOOD | {"value": "yes"}, "invalid_feedback", "value"),
    (GOOD | {"value": None}, "missing_required_parameter", "value"),
    (GOOD | {"value": [1]}, "invalid_feedback", "value"),
    (GOOD | {"name": "Re solved"}, "invalid_name", "name"),
    (GOOD | {"name": ""}, "invalid_name", "name"),
    (GOOD | {"name": "x" * 100_000}, "invalid_name", "name"),
    (GOOD | {"comment": "It was good."}, "invalid_feedback", None),
    (GOOD | {"scores": {"tone": 1}}, "invalid_feedback", "scores"),
    ({"call_id": CALL_ID, "scores": {}}, "invalid_feedback", "scores"),
    ({"call_id": CALL_ID, "scores": {"tone": "good"}}, "invalid_feedback", "scores"),
    ({"call_id": CALL_ID, "scores": {"To ne": 1}}, "invalid_name", "scores"),
    ({"call_id": CALL_ID, "scores": {f"s{at}": 1 for at in range(MAX_SCORES + 1)}}, "invalid_feedback", "scores"),
]


@pytest.mark.parametrize(("body", "code", "param"), WRONG)
def test_what_is_wrong_is_named_in_openais_words(
    gateway: RunningGateway, body: Any, code: str, param: str | None
) -> None:
    reply = give(gateway, body)
    assert reply.status == 400
    assert (reply.error["type"], reply.error["code"], reply.error["param"]) == ("invalid_request_error", code, param)
    assert len(reply.body) < 1000
    assert gateway.feedbacks.stored == []


@pytest.mark.parametrize("value", ["1e999", "-1e999", "9" * 400, "NaN", "Infinity"])
async def test_no_number_that_is_not_finite_is_taken(value: str) -> None:
    feedbacks = MemoryFeedbacks()
    call = a_call()
    call.grant = KeyGrant(key_id="k", name="k")
    call.request.body = b'{"call_id": "%s", "name": "x", "value": %s}' % (CALL_ID.encode(), value.encode())
    with pytest.raises(Invalid):
        await TakeFeedback(FeedbackLog(feedbacks))(call, None)  # type: ignore[arg-type]  # it never calls on
    assert feedbacks.stored == []


@pytest.mark.parametrize("key", ["", "x" * 257])
def test_an_idempotency_key_is_short_and_not_empty(gateway: RunningGateway, key: str) -> None:
    reply = give(gateway, idempotency_key=key)
    assert (reply.status, reply.error["code"]) == (400, "invalid_idempotency_key")


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [
        (None, 401, "missing_api_key"),
        ("sk-unknown", 401, "invalid_api_key"),
        ("sk-revoked", 401, "key_revoked"),
        ("sk-expired", 401, "key_expired"),
        ("sk-prompts", 403, "permission_denied"),
    ],
)
def test_it_takes_a_living_key_for_inference(gateway: RunningGateway, key: str | None, status: int, code: str) -> None:
    reply = give(gateway, key=key)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert gateway.feedbacks.stored == []


def test_it_is_posted(gateway: RunningGateway) -> None:
    reply = fetch(gateway, PATH)
    assert (reply.status, reply.error["code"]) == (404, "unsupported_endpoint")


def test_a_body_is_no_longer_than_the_policy_allows(start: Start) -> None:
    gateway = start(policy_max_body_bytes=1024)
    reply = give(gateway, {"call_id": CALL_ID, "scores": {f"score-{at:03d}": 0.5 for at in range(60)}})
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")


def test_a_store_that_is_away_is_told_and_ready_tells_it_too(gateway: RunningGateway) -> None:
    assert fetch(gateway, "/readyz").json["feedback"] == "ok"
    gateway.feedbacks.away = True
    reply = give(gateway)
    assert (reply.status, reply.error["code"], reply.headers["retry-after"]) == (503, "feedback_unavailable", "1")
    ready = fetch(gateway, "/readyz")
    assert (ready.status, ready.json["feedback"]) == (200, "The store is away.")
    gateway.feedbacks.away = False
    assert give(gateway).status == 200
    assert fetch(gateway, "/readyz").json["feedback"] == "ok"
    assert len(gateway.feedbacks.stored) == 1


NUMBERS = st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JUNK = st.recursive(
    st.none() | NUMBERS | st.text(max_size=4) | st.just(CALL_ID),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["call_id", "name", "value", "scores", "tone"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | JUNK.map(lambda value: json.dumps(value).encode()))
async def test_any_body_is_stored_or_refused(body: bytes) -> None:
    feedbacks = MemoryFeedbacks()
    call = a_call()
    call.grant = KeyGrant(key_id="k", name="k")
    call.request.body = body
    try:
        reply = await TakeFeedback(FeedbackLog(feedbacks))(call, None)  # type: ignore[arg-type]  # it never calls on
        assert reply.status == 200
        assert feedbacks.stored
    except Invalid:
        assert not feedbacks.stored
    assert all(abs(one.value) <= sys.float_info.max for one in feedbacks.stored)
