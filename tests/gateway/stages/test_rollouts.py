"""Calls while a rollout is under way: arms, models, the header and the record; and copies for its candidate."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.gateway.stages.test_experiments import VERSIONS, exposure, greet, of_models, of_prompts
from tests.support.asking import ask, fetch
from tests.support.gateway import RunningGateway, until
from tests.support.scene import ONCE, Start, changed, snapshot_of
from tests.support.upstream import Received, ScriptedUpstream, usual
from tests.support.wire import Pause, Step, answer
from tidegate.live.assignment import BUCKETS
from tidegate.live.calls import CallRecord
from tidegate.live.experiments import LiveVariant, Seen
from tidegate.live.prompts import LivePrompts
from tidegate.live.rollouts import CANDIDATE, STABLE, place
from tidegate.live.snapshot import Arm, LiveRelease, LiveRollout, Route, Shadow, Snapshot

UNITS = [f"user-{number}" for number in range(12)]
NOT_IN_ONE = (None, None, None, None)


def rolling(
    url: str, candidate_bp: int = 5_000, *, model: str | None = None, unit: str = "user", **shadow: Any
) -> Snapshot:
    """The usual world, where greeting@1.0.0 takes over from 2.0.0."""
    copies = Shadow(**shadow) if shadow else None
    release = LiveRelease(
        release_id="rel_7",
        number=7,
        prompt="greeting",
        environment="production",
        arms=(Arm("2.0.0", BUCKETS - candidate_bp, STABLE), Arm("1.0.0", candidate_bp, CANDIDATE, model)),
        salt="roll-salt",
        rollout=LiveRollout(rollout_id="roll_1", unit=unit, shadow=copies),
    )
    snapshot = snapshot_of(url)
    priced = msgspec.structs.replace(snapshot.deployments["other"], price=snapshot.deployments["main"].price)
    line = snapshot.releases["production"]["line"]
    return changed(
        snapshot,
        deployments={**snapshot.deployments, "other": priced},
        releases={"production": {"greeting": release, "line": line}},
    )


def arm_for(world: Snapshot, unit: str) -> Arm:
    return place(world.releases["production"]["greeting"], "user", Seen("", unit, {}, "")).arm


def of(gateway: RunningGateway, origin: str) -> list[CallRecord]:
    return [one for one in gateway.records.stored if one.origin == origin]


def told(gateway: RunningGateway, outcome: str, count: int = 1, label: str = "prompt:greeting") -> None:
    until(lambda: gateway.gateway.shadows.totals.get(label, {}).get(outcome, 0) >= count)


# Assignment.


def test_each_unit_gets_its_arm_and_the_record_says_so(start: Start, upstream: ScriptedUpstream) -> None:
    world = rolling(upstream.url, 3_000)
    gateway = start(world)
    seen = set()
    for count, unit in enumerate(UNITS, 1):
        arm = arm_for(world, unit)
        reply = greet(gateway, unit)
        assert (reply.status, reply.headers["x-tidegate-rollout"]) == (200, arm.name)
        assert reply.headers["x-tidegate-version"] == f"greeting@{arm.version}"
        assert "x-tidegate-experiment" not in reply.headers
        record = gateway.wait_record(count)
        assert exposure(record) == ("roll_1", arm.name, unit, arm.weight_bp / BUCKETS)
        assert (record.prompt_version, record.release_id, record.origin) == (arm.version, "rel_7", "user")
        seen.add(arm.name)
    assert seen == {STABLE, CANDIDATE}


def test_the_candidates_own_model_is_asked(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, BUCKETS, model="other"))
    assert greet(gateway, "ada").status == 200
    assert upstream.last.json["model"] == "other-model"
    record = gateway.wait_record()
    assert (record.route, record.variant) == ("other", CANDIDATE)


def test_a_call_that_tells_no_unit_is_its_own(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, unit="tag:session"))
    greet(gateway, "ada")
    greet(gateway, "ada", headers=("x-tidegate-tags: session=s1",))
    alone, session = gateway.wait_records(2)
    assert (alone.experiment_unit, session.experiment_unit) == (alone.call_id, "s1")


def test_an_error_of_the_arm_is_a_use_of_it(start: Start, upstream: ScriptedUpstream) -> None:
    upstream.say(answer({"error": {"message": "No."}}, status=500))
    gateway = start(rolling(upstream.url, BUCKETS))
    reply = greet(gateway, "ada")
    assert (reply.status, reply.headers["x-tidegate-rollout"]) == (500, CANDIDATE)
    record = gateway.wait_record()
    assert (record.variant, record.ending) == (CANDIDATE, "failed")


def test_who_asks_for_a_version_by_number_is_not_in_it(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, BUCKETS))
    reply = greet(gateway, "ada", model="prompt:greeting@2.0.0")
    assert "x-tidegate-rollout" not in reply.headers
    assert exposure(gateway.wait_record()) == NOT_IN_ONE


def test_an_experiment_with_the_prompt_comes_first_and_one_with_the_model_does_not(
    start: Start, upstream: ScriptedUpstream
) -> None:
    prompts = of_prompts(tags={"tier": "free"}, variants=(msgspec.structs.replace(VERSIONS[0], weight_bp=BUCKETS),))
    models = of_models(variants=(LiveVariant(name="all", weight_bp=BUCKETS, model="other"),))
    experiments = {"production": {"prompt:greeting": (prompts,), "gpt": (models,)}}
    gateway = start(changed(rolling(upstream.url, BUCKETS), experiments=experiments))
    free = greet(gateway, "ada", headers=("x-tidegate-tags: tier=free",))
    assert (free.headers["x-tidegate-experiment"], free.headers.get("x-tidegate-rollout")) == ("tone/control", None)
    rest = greet(gateway, "ada")
    assert (rest.headers.get("x-tidegate-experiment"), rest.headers["x-tidegate-rollout"]) == (None, CANDIDATE)
    assert upstream.last.json["model"] == "up-model"
    assert [record.experiment_id for record in gateway.wait_records(2)] == ["exp_1", "roll_1"]


def test_a_client_that_renders_is_told_the_unit_and_nothing_of_copies(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, model="other", unit="tag:session", share_bp=100))
    body = fetch(gateway, "/v1/prompts", key="sk-test").body
    release = msgspec.json.decode(body, type=LivePrompts).prompts["greeting"].release
    assert release.rollout == LiveRollout(rollout_id="roll_1", unit="tag:session")
    assert release.arms[-1] == Arm("1.0.0", 5_000, CANDIDATE, "other")


# Copies.


@pytest.mark.parametrize("stream", [False, True])
def test_the_candidate_answers_a_copy_of_what_the_stable_one_was_asked(
    start: Start, upstream: ScriptedUpstream, stream: bool
) -> None:
    gateway = start(rolling(upstream.url, 0, model="other", share_bp=BUCKETS))
    assert greet(gateway, "ada", stream=stream).headers["x-tidegate-rollout"] == STABLE
    told(gateway, "sent")
    users, copies = upstream.received
    assert (users.json["model"], copies.json["model"]) == ("up-model", "other-model")
    assert users.json["messages"][-1]["content"] == "Greet Ada warmly"
    assert copies.json["messages"][-1]["content"] == "Greet Ada"
    gateway.wait_records(2)
    (user,), (copy,) = of(gateway, "user"), of(gateway, "shadow")
    assert (copy.shadow_of, copy.experiment_id, copy.variant) == (user.call_id, "roll_1", CANDIDATE)
    assert (copy.experiment_unit, copy.propensity) == ("ada", None)
    assert (copy.prompt_version, copy.route) == ("1.0.0", "other")
    assert (user.variant, copy.ending) == (STABLE, "complete")
    assert 'route="prompt:greeting"' in fetch(gateway, "/metrics").body.decode()


def test_the_rollouts_candidate_comes_before_the_routes_and_others_go_to_the_routes(
    start: Start, upstream: ScriptedUpstream
) -> None:
    world = rolling(upstream.url, 0, share_bp=BUCKETS)
    route = Route(
        alias="gpt", deployment="main", retry=ONCE, shadow=Shadow(share_bp=BUCKETS, deployment="other")
    )  # fmt: skip
    gateway = start(changed(world, routes={**world.routes, "gpt": route}))
    greet(gateway, "ada")
    told(gateway, "sent")
    ask(gateway, "/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]})
    told(gateway, "sent", label="gpt")
    gateway.wait_records(4)
    assert [(one.deployment, one.experiment_id) for one in of(gateway, "shadow")] == [
        ("main", "roll_1"),
        ("other", None),
    ]


def test_a_candidates_own_call_is_not_copied_for_it(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, BUCKETS, share_bp=BUCKETS))
    greet(gateway, "ada")
    gateway.stop()
    assert len(upstream.received) == 1


def test_a_rollouts_copies_have_a_cap_of_their_own(start: Start, upstream: ScriptedUpstream) -> None:
    world = rolling(upstream.url, 0, share_bp=BUCKETS, cap_nano_usd_per_day=1)
    route = Route(alias="gpt", deployment="main", retry=ONCE, shadow=Shadow(share_bp=BUCKETS, deployment="main"))
    gateway = start(changed(world, routes={**world.routes, "gpt": route}))
    greet(gateway, "ada")
    told(gateway, "skipped_budget")
    ask(gateway, "/v1/chat/completions", {"model": "gpt", "messages": [{"role": "user", "content": "Hi"}]})
    told(gateway, "sent", label="gpt")
    assert gateway.gateway.shadows.totals["prompt:greeting"]["sent"] == 0


def test_what_the_upstream_failed_at_is_copied_too_else_no_candidate_could_be_as_good(
    start: Start, upstream: ScriptedUpstream
) -> None:
    upstream.say(answer({"error": {"message": "No."}}, status=500))
    gateway = start(rolling(upstream.url, 0, share_bp=BUCKETS))
    assert greet(gateway, "ada").status == 500
    told(gateway, "sent")
    gateway.wait_records(2)
    assert [one.ending for one in [*of(gateway, "user"), *of(gateway, "shadow")]] == ["failed", "complete"]


def test_what_we_refused_is_not_copied(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(rolling(upstream.url, 0, share_bp=BUCKETS))
    assert greet(gateway, "ada", variables={"nmae": "Ada"}).status == 400
    gateway.stop()
    assert upstream.received == []


def test_a_candidate_that_hangs_has_timed_out(start: Start, upstream: ScriptedUpstream) -> None:
    def respond(received: Received) -> Sequence[Step]:
        return (Pause(30.0), *answer({})) if received.json["model"] == "other-model" else usual(received)

    upstream.respond = respond
    gateway = start(rolling(upstream.url, 0, model="other", share_bp=BUCKETS, timeout_s=0.5))
    assert greet(gateway, "ada").status == 200
    told(gateway, "timeout")
    gateway.wait_records(2)
    (copy,) = of(gateway, "shadow")
    assert (copy.ending, copy.status, copy.variant) == ("timeout", 504, CANDIDATE)
