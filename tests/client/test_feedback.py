"""The client gives feedback once, though it may have to try more often; its own prompts honour experiments."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.live.test_experiments import experiment
from tests.support.asking import ask_chat
from tests.support.gateway import RunningGateway, until
from tests.support.scene import changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.client import Client
from tidegate.client.wire import Answer, Line
from tidegate.kernel.errors import Invalid, Unauthenticated, Unavailable
from tidegate.kernel.ids import new_id
from tidegate.live.experiments import LiveExperiment, LiveVariant
from tidegate.live.snapshot import Snapshot

VARIANTS = (
    LiveVariant(name="control", weight_bp=5_000, version="2.0.0"),
    LiveVariant(name="treatment", weight_bp=5_000, version="1.0.0", model="other"),
)
UNITS = [f"user-{number}" for number in range(20)]


def world(url: str, *experiments: LiveExperiment, **fields: Any) -> Snapshot:
    return changed(snapshot_of(url), experiments={"production": {"prompt:greeting": experiments}}, **fields)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    with ScriptedUpstream() as upstream:
        one = experiment(subject="prompt:greeting", variants=VARIANTS)
        with RunningGateway(world(upstream.url, one, policy_holdout_bp=2_000), tmp_path) as running:
            yield running


@pytest.fixture
def client(gateway: RunningGateway) -> Iterator[Client]:
    with Client(gateway.base_url, "sk-test") as client:
        yield client


# Feedback.


@pytest.mark.parametrize(("value", "number"), [(True, 1.0), (False, 0.0), (0.25, 0.25)])
def test_feedback_is_stored(gateway: RunningGateway, client: Client, value: float, number: float) -> None:
    call_id = new_id("call")
    feedback_id = client.feedback(call_id, "resolved", value)
    (one,) = gateway.feedbacks.stored
    assert (one.feedback_id, one.call_id, one.name, one.value) == (feedback_id, call_id, "resolved", number)


def test_feedback_that_is_wrong_is_named(client: Client) -> None:
    with pytest.raises(Invalid, match="is not the id of a call") as caught:
        client.feedback("ada", "resolved", 1)
    assert caught.value.code == "invalid_call_id"


def test_a_key_that_may_not_give_feedback_is_told(gateway: RunningGateway) -> None:
    with Client(gateway.url, "sk-prompts") as reader, pytest.raises(Unauthenticated):
        reader.feedback(new_id("call"), "resolved", 1)


def test_it_is_tried_again_while_the_store_is_away(gateway: RunningGateway, client: Client) -> None:
    gateway.feedbacks.away = True
    with pytest.raises(Unavailable) as caught:
        client.feedback(new_id("call"), "resolved", 1)
    assert caught.value.code == "feedback_unavailable"


def test_an_answer_that_was_lost_does_not_double_it(
    gateway: RunningGateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []
    sent = Line.post

    def losing(self: Line, *given: Any) -> Answer:
        answer = sent(self, *given)
        tries.append(answer.status)
        if len(tries) == 1:
            raise Unavailable("The connection broke.")
        return answer

    monkeypatch.setattr(Line, "post", losing)
    feedback_id = client.feedback(new_id("call"), "resolved", True)
    assert tries == [200, 200]
    assert [one.feedback_id for one in gateway.feedbacks.stored] == [feedback_id]


# Experiments.


def greeted(client: Client, unit: str | None, **more: Any) -> tuple[str, str, str | None]:
    prompt = client.prompt("greeting", {"name": "Ada"}, unit=unit, **more)
    return prompt.version, prompt.model, prompt.experiment


def test_a_unit_gets_what_the_gateway_gives_it(gateway: RunningGateway, client: Client) -> None:
    seen = set()
    for unit in UNITS:
        version, model, told = greeted(client, unit)
        reply = ask_chat(
            gateway, model="prompt:greeting", messages=None, variables={"name": "Ada"}, user=unit, max_tokens=5
        )
        assert reply.headers["x-tidegate-version"] == f"greeting@{version}"
        assert reply.headers.get("x-tidegate-experiment") == told
        assert model == ("other" if told == "tone/treatment" else "gpt")
        seen.add(told)
    assert seen == {None, "tone/control", "tone/treatment"}  # some are held out


def test_without_a_unit_it_is_in_none(client: Client) -> None:
    assert {greeted(client, None) for _ in range(10)} == {("2.0.0", "gpt", None)}


def test_tags_bring_it_into_the_segment_and_an_end_is_followed_at_once(gateway: RunningGateway, client: Client) -> None:
    only = (LiveVariant(name="only", weight_bp=10_000, version="1.0.0"),)
    tagged = experiment(subject="prompt:greeting", variants=only, tags={"tier": "free", "team": "blue"})
    running = msgspec.structs.replace(world("http://127.0.0.1:9", tagged), generation=30)
    gateway.push(running)
    client.refresh()
    assert greeted(client, "ada") == ("2.0.0", "gpt", None)
    assert greeted(client, "ada", tags={"tier": "free"}) == ("1.0.0", "gpt", "tone/only")  # team=blue is the key's own
    gateway.push(changed(running, experiments={}))
    until(lambda: greeted(client, "ada", tags={"tier": "free"}) == ("2.0.0", "gpt", None))


def test_a_variant_without_a_version_is_the_releases(gateway: RunningGateway, client: Client) -> None:
    one = experiment(subject="prompt:greeting", variants=(LiveVariant(name="control", weight_bp=1),))
    gateway.push(msgspec.structs.replace(world("http://127.0.0.1:9", one), generation=30))
    client.refresh()
    assert greeted(client, "ada") == ("2.0.0", "gpt", "tone/control")
