"""Calls in experiments: prompts and models by variant, the header, and what the record says of it."""

from typing import Any

import msgspec
import pytest

from tests.live.test_experiments import experiment
from tests.support.asking import ask, ask_chat, fetch
from tests.support.gateway import RunningGateway, until
from tests.support.http1 import Reply
from tests.support.scene import CHAT, Start, changed, snapshot_of
from tests.support.upstream import ScriptedUpstream
from tidegate.live.assignment import assign, bucket
from tidegate.live.calls import CallRecord
from tidegate.live.experiments import HOLDOUT, LiveExperiment, LiveVariant, Seen, enrol
from tidegate.live.prompts import LivePrompts
from tidegate.live.snapshot import Arm, Choice, LiveRelease, Route, Shadow, Snapshot

GREETING = "prompt:greeting"
UNITS = [f"user-{number}" for number in range(12)]
VERSIONS = (
    LiveVariant(name="control", weight_bp=5_000, version="2.0.0"),
    LiveVariant(name="treatment", weight_bp=5_000, version="1.0.0"),
)
MODELS = (
    LiveVariant(name="control", weight_bp=5_000),
    LiveVariant(name="treatment", weight_bp=5_000, model="other"),
)


@pytest.fixture(params=["raw", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def of_prompts(**fields: Any) -> LiveExperiment:
    return experiment(**({"subject": GREETING, "variants": VERSIONS} | fields))


def of_models(**fields: Any) -> LiveExperiment:
    return experiment(
        **({"experiment_id": "exp_2", "name": "size", "subject": "gpt", "variants": MODELS, "salt": "size"} | fields)
    )


def running(url: str, *experiments: LiveExperiment, **fields: Any) -> Snapshot:
    by_subject: dict[str, tuple[LiveExperiment, ...]] = {}
    for one in experiments:
        by_subject[one.subject] = (*by_subject.get(one.subject, ()), one)
    return changed(snapshot_of(url), experiments={"production": by_subject}, **fields)


def variant_of(one: LiveExperiment, unit: str) -> LiveVariant:
    taken = enrol(one, Seen("", unit, {}, "test"))
    assert taken is not None
    return taken.variant


def greet(gateway: RunningGateway, unit: str | None = None, key: str = "sk-test", **fields: Any) -> Reply:
    given = {"model": GREETING, "messages": None, "variables": {"name": "Ada"}, "user": unit} | fields
    return ask_chat(gateway, key, **given)


def exposure(record: CallRecord) -> tuple[Any, ...]:
    return record.experiment_id, record.variant, record.experiment_unit, record.propensity


NOT_IN_ONE = (None, None, None, None)


# Prompts.


def test_a_prompt_comes_in_the_version_of_its_units_variant(start: Start, upstream: ScriptedUpstream) -> None:
    one = of_prompts()
    gateway = start(running(upstream.url, one))
    seen = set()
    for count, unit in enumerate(UNITS, 1):
        variant = variant_of(one, unit)
        reply = greet(gateway, unit)
        assert (reply.status, reply.headers["x-tidegate-experiment"]) == (200, f"tone/{variant.name}")
        assert reply.headers["x-tidegate-version"] == f"greeting@{variant.version}"
        warmly = upstream.last.json["messages"][-1]["content"] == "Greet Ada warmly"
        assert warmly is (variant.version == "2.0.0")
        record = gateway.wait_record(count)
        assert exposure(record) == ("exp_1", variant.name, unit, 0.5)
        assert (record.prompt_version, record.release_id, record.route) == (variant.version, None, "gpt")
        seen.add(variant.name)
    assert seen == {"control", "treatment"}


def test_a_stream_and_a_refused_call_tell_their_experiment_too(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts()))
    assert greet(gateway, "ada", stream=True).headers["x-tidegate-experiment"].startswith("tone/")
    refused = greet(gateway, "ada", variables={"nmae": "Ada"})
    assert (refused.status, refused.headers["x-tidegate-experiment"][:5]) == (400, "tone/")
    assert [exposure(record)[0] for record in gateway.wait_records(2)] == ["exp_1", "exp_1"]


def test_who_is_not_in_it_gets_what_the_release_gives(start: Start, upstream: ScriptedUpstream) -> None:
    world = running(upstream.url, of_prompts(tags={"tier": "free"}))
    arms = (Arm("1.0.0", 5_000), Arm("2.0.0", 5_000))
    split = LiveRelease(
        release_id="rel_9", number=9, prompt="greeting", environment="production", arms=arms, salt="rel"
    )
    gateway = start(changed(world, releases={"production": {"greeting": split}}))
    for count, unit in enumerate(UNITS[:4], 1):
        reply = greet(gateway, unit)
        assert "x-tidegate-experiment" not in reply.headers
        assert reply.headers["x-tidegate-version"] == f"greeting@{assign(arms, 'rel', unit)}"
        record = gateway.wait_record(count)
        assert (exposure(record), record.release_id) == (NOT_IN_ONE, "rel_9")
    assert "x-tidegate-experiment" in greet(gateway, "ada", headers=("x-tidegate-tags: tier=free",)).headers


def test_a_variant_without_a_version_follows_the_release_which_is_not_judged_by_it(
    start: Start, upstream: ScriptedUpstream
) -> None:
    variants = (LiveVariant(name="control", weight_bp=10_000), msgspec.structs.replace(VERSIONS[1], weight_bp=0))
    gateway = start(running(upstream.url, of_prompts(variants=variants)))
    reply = greet(gateway, "ada")
    assert reply.headers["x-tidegate-version"] == "greeting@2.0.0"
    record = gateway.wait_record()
    assert (exposure(record), record.release_id) == (("exp_1", "control", "ada", 1.0), None)


def test_a_variant_may_name_the_model_too(start: Start, upstream: ScriptedUpstream) -> None:
    variants = (LiveVariant(name="both", weight_bp=10_000, version="1.0.0", model="other"),)
    gateway = start(running(upstream.url, of_prompts(variants=variants)))
    assert greet(gateway, "ada", "sk-test").status == 200
    assert upstream.last.json["model"] == "other-model"
    record = gateway.wait_record()
    assert (record.route, record.deployment, record.model_requested) == ("other", "other", GREETING)


def test_who_asks_for_a_version_by_number_is_in_no_experiment_with_it(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts()))
    for unit in UNITS[:6]:
        reply = greet(gateway, unit, model=f"{GREETING}@1.0.0")
        assert reply.headers["x-tidegate-version"] == "greeting@1.0.0"
        assert "x-tidegate-experiment" not in reply.headers
    assert {exposure(record) for record in gateway.wait_records(6)} == {NOT_IN_ONE}


def test_another_environment_is_not_in_it(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts(), of_models()))
    for reply in (greet(gateway, "ada", "sk-staging"), ask_chat(gateway, "sk-staging", user="ada")):
        assert (reply.status, reply.headers.get("x-tidegate-experiment")) == (200, None)


def test_the_first_experiment_that_takes_the_call_decides(start: Start, upstream: ScriptedUpstream) -> None:
    low = of_prompts(name="low", experiment_id="exp_low", layer="shared", to_bp=5_000)
    high = of_prompts(name="high", experiment_id="exp_high", layer="shared", from_bp=5_000)
    later = of_prompts(name="later", experiment_id="exp_later")
    gateway = start(running(upstream.url, low, high, later))
    told = {unit: greet(gateway, unit).headers["x-tidegate-experiment"].partition("/")[0] for unit in UNITS}
    assert told == {unit: "low" if bucket("shared", unit) < 5_000 else "high" for unit in UNITS}
    assert set(told.values()) == {"low", "high"}


def test_who_is_held_out_is_in_none(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts(), of_models(), policy_holdout_bp=5_000))
    told = {unit: "x-tidegate-experiment" in greet(gateway, unit).headers for unit in UNITS}
    assert told == {unit: bucket(HOLDOUT, unit) >= 5_000 for unit in UNITS}
    assert set(told.values()) == {True, False}


def test_a_call_without_a_unit_is_in_those_of_single_calls_alone(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts()))
    assert "x-tidegate-experiment" not in greet(gateway).headers
    gateway.push(changed(running(upstream.url, of_prompts(unit="request")), generation=20))
    told = [greet(gateway).headers["x-tidegate-experiment"] for _ in range(24)]
    assert set(told) == {"tone/control", "tone/treatment"}
    records = gateway.wait_records(25)[1:]
    assert all(record.experiment_unit == record.call_id for record in records)


# Models.


def test_a_model_is_replaced_by_its_units_variant(start: Start, upstream: ScriptedUpstream) -> None:
    one = of_models()
    gateway = start(running(upstream.url, one))
    for count, unit in enumerate(UNITS, 1):
        variant = variant_of(one, unit)
        reply = ask_chat(gateway, user=unit)
        assert reply.headers["x-tidegate-experiment"] == f"size/{variant.name}"
        assert upstream.last.json["model"] == ("up-model" if variant.model is None else "other-model")
        record = gateway.wait_record(count)
        assert exposure(record) == ("exp_2", variant.name, unit, 0.5)
        assert (record.route, record.model_requested) == (variant.model or "gpt", "gpt")


def test_a_prompts_model_is_replaced_too_and_its_release_still_judged(start: Start, upstream: ScriptedUpstream) -> None:
    one = of_models()
    gateway = start(running(upstream.url, one))
    asked = [(unit, model) for unit in UNITS[:5] for model in (GREETING, f"{GREETING}@2.0.0")]
    for count, (unit, model) in enumerate(asked, 1):
        reply = greet(gateway, unit, model=model)
        assert reply.headers["x-tidegate-experiment"] == f"size/{variant_of(one, unit).name}"
        record = gateway.wait_record(count)
        assert record.release_id == ("rel_greeting_production" if model == GREETING else None)


def test_a_call_that_an_experiment_with_the_prompt_took_is_in_no_other(
    start: Start, upstream: ScriptedUpstream
) -> None:
    gateway = start(running(upstream.url, of_prompts(), of_models()))
    for unit in UNITS:
        assert greet(gateway, unit).headers["x-tidegate-experiment"].startswith("tone/")
        assert upstream.last.json["model"] == "up-model"
    assert {record.experiment_id for record in gateway.wait_records(len(UNITS))} == {"exp_1"}


def test_a_key_may_get_a_variants_model_and_still_not_ask_for_it(start: Start, upstream: ScriptedUpstream) -> None:
    one = of_models()
    gateway = start(running(upstream.url, one))
    treated = next(unit for unit in UNITS if variant_of(one, unit).model)
    assert ask_chat(gateway, "sk-narrow", user=treated).status == 200
    assert upstream.last.json["model"] == "other-model"
    assert ask_chat(gateway, "sk-narrow", model="other", user=treated).status == 403


def test_embeddings_and_messages_are_in_it_and_counting_tokens_is_no_use_of_it(
    start: Start, upstream: ScriptedUpstream
) -> None:
    one = of_models(variants=(LiveVariant(name="only", weight_bp=10_000, model="other"),))
    gateway = start(running(upstream.url, one))
    asked = {"model": "gpt", "messages": CHAT["messages"], "max_tokens": 5}
    header = ("x-tidegate-unit: ada",)
    assert ask(gateway, "/v1/messages", asked, headers=header).headers["x-tidegate-experiment"] == "size/only"
    assert (
        ask(gateway, "/v1/embeddings", {"model": "gpt", "input": "x"}, headers=header).headers["x-tidegate-experiment"]
        == "size/only"
    )
    counted = ask(gateway, "/v1/messages/count_tokens", asked, headers=header)
    assert "x-tidegate-experiment" not in counted.headers
    records = gateway.wait_records(3)
    assert [record.experiment_id for record in records] == ["exp_2", "exp_2", None]
    assert {record.route for record in records} == {"other"}


# What control prevents, and what is no user's call.


@pytest.mark.parametrize(
    ("variant", "code"),
    [({"version": "9.9.9"}, "prompt_version_not_found"), ({"model": "gone"}, "model_not_found")],
)
def test_a_variant_that_is_not_there_is_a_typed_error(
    start: Start, upstream: ScriptedUpstream, variant: dict[str, str], code: str
) -> None:
    broken = of_prompts(variants=(LiveVariant(name="broken", weight_bp=10_000, **variant),))
    gateway = start(running(upstream.url, broken))
    reply = greet(gateway, "ada")
    assert (reply.status, reply.error["code"]) == (404, code)
    assert exposure(gateway.wait_record())[:2] == ("exp_1", "broken")


def test_an_unknown_prompt_is_still_unknown(start: Start, upstream: ScriptedUpstream) -> None:
    gateway = start(running(upstream.url, of_prompts(), of_models()))
    assert greet(gateway, "ada", model="prompt:greting").error["code"] == "prompt_not_found"
    assert ask_chat(gateway, model="gtp", user="ada").error["code"] == "model_not_found"


@pytest.mark.parametrize("rule", [{"deployment": "other"}, {"version": "1.0.0"}])
def test_a_shadow_copy_is_in_no_experiment(start: Start, upstream: ScriptedUpstream, rule: dict[str, str]) -> None:
    shadow: dict[str, Any] = {"share_bp": 10_000} | rule
    route = Route(alias="gpt", deployment="main", choices=(Choice("main"),), shadow=Shadow(**shadow))
    experiments = (of_prompts(variants=VERSIONS[:1]), of_models(variants=MODELS[:1]))
    world = running(upstream.url, *experiments, routes={"gpt": route})
    main = world.deployments["main"]
    deployments = {
        "main": main,
        "other": msgspec.structs.replace(main, name="other"),
    }  # its copies are capped
    gateway = start(changed(world, deployments=deployments))
    assert greet(gateway, "ada").headers["x-tidegate-experiment"] == "tone/control"
    until(lambda: gateway.gateway.shadows.totals.get("gpt", {}).get("sent"))
    by_origin = {record.origin: record for record in gateway.wait_records(2)}
    assert exposure(by_origin["user"])[:2] == ("exp_1", "control")
    assert exposure(by_origin["shadow"]) == NOT_IN_ONE


# What a client that renders by itself is told.


@pytest.fixture
def listed(start: Start, upstream: ScriptedUpstream) -> LivePrompts:
    experiments = (
        of_prompts(keys=("test", "hidden")),
        of_prompts(name="theirs", keys=("hidden",)),
        of_prompts(name="broken", variants=(LiveVariant(name="x", weight_bp=1, version="9.9.9"),)),
    )
    gateway = start(running(upstream.url, *experiments, policy_holdout_bp=70))
    return msgspec.json.decode(fetch(gateway, "/v1/prompts").body, type=LivePrompts)


def test_the_listing_carries_the_experiments_of_a_key_and_their_versions(listed: LivePrompts) -> None:
    greeting = listed.prompts["greeting"]
    assert [one.name for one in greeting.experiments] == ["tone"]
    assert greeting.experiments[0].keys == ()
    assert set(greeting.versions) == {"1.0.0", "2.0.0"}
    assert (listed.prompts["line"].experiments, listed.holdout_bp) == ((), 70)
