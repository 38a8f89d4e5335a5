"""Messages for Slack-compatible incoming webhooks: what they say, and that nothing in them can act."""

import json

import httpx
import pytest

from tidegate.adapters.notifiers.slack import LONGEST, Slack, message_of
from tidegate.jobs.notifications import EVENTS, Event
from tidegate.kernel.errors import ProviderFailed, ProviderUnreachable

ROLLED_BACK = Event(
    event_id="evt_1",
    event="rollout.rolled_back",
    at_ms=1,
    actor="system",
    subject="rollout/production/greeting",
    detail={
        "candidate": "1.1.0",
        "stable": "1.0.0",
        "stage": "5%",
        "percent": 0.0,
        "why": "error_rate: 4% against 1%, beyond 1.5 times.",
    },
)


def test_a_message_says_what_happened_to_what_and_why() -> None:
    assert message_of(ROLLED_BACK).splitlines() == [
        "*rollout of greeting in production*: rolled back",
        "error_rate: 4% against 1%, beyond 1.5 times.",
        "candidate: 1.1.0 · stable: 1.0.0 · stage: 5% · percent: 0",
        "by system",
    ]


def test_an_emergency_is_told_as_such() -> None:
    event = Event(
        event_id="evt_1",
        event="release.deployed",
        subject="release/production/greeting",
        actor="dora",
        detail={"emergency": True, "reason": "users see errors", "after": {"version": "1.2.0", "number": 4}},
    )
    said = message_of(event)
    assert "deployed as an *emergency*" in said
    assert "version 1.2.0, number 4 · reason: users see errors" in said


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_has_a_message(name: str) -> None:
    assert message_of(Event(event_id="evt_1", event=name)).startswith("*")


def test_text_from_outside_links_and_mentions_nobody() -> None:
    event = Event(
        event_id="evt_1",
        event="prompt.fault",
        subject="prompts/<!channel>.yaml",
        actor="<@U1>",
        detail={"message": "<https://evil.example|click> & more", "why": "x" * 9000},
    )
    said = message_of(event)
    assert len(said) == LONGEST
    assert "<" not in said
    short = message_of(Event(event_id="e", event="prompt.fault", detail={"message": "<a|b> & c"}))
    assert "&lt;a|b&gt; &amp; c" in short


def answering(status: int, seen: list[httpx.Request] | None = None) -> Slack:
    """A notifier whose receiver answers with this status; 0: it is away."""

    def answer(request: httpx.Request) -> httpx.Response:
        if not status:
            raise httpx.ConnectError("away")
        if seen is not None:
            seen.append(request)
        return httpx.Response(status, headers={"location": "https://elsewhere.example"})

    url = "https://hooks.slack.example/services/T0/B0/s3cret"
    return Slack(url, "team", client=lambda: httpx.AsyncClient(transport=httpx.MockTransport(answer)))


async def test_it_is_one_post_of_one_text() -> None:
    seen: list[httpx.Request] = []
    await answering(200, seen).notify(ROLLED_BACK)
    (request,) = seen
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"text": message_of(ROLLED_BACK)}


@pytest.mark.parametrize("status", [0, 302, 404, 429, 500])
async def test_what_went_wrong_names_the_notifier_and_never_its_address(status: int) -> None:
    with pytest.raises((ProviderFailed, ProviderUnreachable)) as caught:
        await answering(status).notify(ROLLED_BACK)
    assert "team" in caught.value.message
    assert "s3cret" not in str(caught.value)
    assert caught.value.mend
