"""Rollouts on both databases: what starts, how it goes on and ends, what is written down, who may what."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.control import CONFIG, commit, newest_snapshot, prompt_text
from tests.support.rolling import (
    DEPLOYER,
    PRODUCTION,
    REVIEWER,
    Scripted,
    audited,
    canary,
    evaluated,
    later,
    news,
    short_plan,
    start,
    ticked,
    with_plan,
)
from tests.support.trials import start as start_experiment
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.releases.model import Order, Release
from tidegate.control.rollouts.model import Stage, Wanted
from tidegate.jobs.database import Tx
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TidegateError
from tidegate.live.assignment import BUCKETS, Arm
from tidegate.live.snapshot import LiveRelease

OFFLINE = Stage(name="offline", kind="offline", max_hold_s=3600)
STAGING = Stage(name="staging", kind="staging", max_hold_s=3600)
SHADOW = Stage(name="shadow 1%", kind="shadow", share_bp=100, max_hold_s=3600)
APPROVAL = Stage(name="approval", kind="approval", approvers=("reviewer",), max_hold_s=3600)


async def live(control: Control, environment: str = PRODUCTION) -> LiveRelease:
    return (await newest_snapshot(control)).releases[environment]["greeting"]


async def shares(control: Control) -> list[tuple[str, int]]:
    return [(arm.version, arm.weight_bp) for arm in (await live(control)).arms]


async def deployed(control: Control, version: str = "1.0.0") -> Release:
    return await control.releases.deploy(DEPLOYER, "greeting", version, PRODUCTION)


@pytest.fixture
async def rolling(control: Control) -> Scripted:
    """1.0.0 is live in production, plans are short, and an observer finds everything in order."""
    await deployed(control)
    return with_plan(control, short_plan())


@pytest.mark.usefixtures("rolling")
async def test_a_candidate_takes_over_step_by_step(control: Control) -> None:
    rollout = await start(control)
    told = await live(control)
    assert told.arms == (Arm("1.0.0", 9500, "stable"), Arm("1.1.0", 500, "candidate"))
    assert told.rollout is not None
    assert (told.rollout.rollout_id, told.rollout.unit, told.salt) == (rollout.rollout_id, "user", rollout.salt)
    assert set((await newest_snapshot(control)).prompts["greeting"]) == {"1.0.0", "1.1.0"}
    assert (await ticked(control)).weight_bp == 2500
    assert await shares(control) == [("1.0.0", 7500), ("1.1.0", 2500)]
    assert (await live(control)).salt == rollout.salt, "who has the candidate keeps it"
    assert (await ticked(control)).weight_bp == BUCKETS
    over = await ticked(control)
    assert (over.state, over.weight_bp) == ("promoted", BUCKETS)
    told = await live(control)
    assert (told.arms, told.rollout, told.previous_version) == ((Arm("1.1.0", BUCKETS),), None, "1.0.0")
    line = await control.releases.history("greeting", PRODUCTION)
    assert [one.kind for one in line] == ["deploy", "canary", "canary", "canary", "deploy"]
    assert (line[0].actor, line[0].version) == ("system", "1.1.0")
    events = await control.rollouts.history("greeting", PRODUCTION)
    assert [(one.seq, one.kind, one.weight_bp) for one in events] == [
        (1, "start", 500), (2, "advance", 2500), (3, "advance", 10_000), (4, "promote", 10_000),
    ]  # fmt: skip
    assert events[1].evidence is not None
    assert events[1].evidence.units == 1000
    assert [one["event"] for one in await news(control)][-4:] == [
        "rollout.started", "rollout.advanced", "rollout.advanced", "rollout.promoted",
    ]  # fmt: skip
    assert [row.action for row in await audited(control)] == [
        "rollout.start", "rollout.advance", "rollout.advance", "rollout.promote",
    ]  # fmt: skip
    assert await ticked(control) == over, "what is over stays so"


@pytest.mark.usefixtures("rolling")
async def test_only_what_takes_over_or_goes_back_gets_a_tag(control: Control) -> None:
    await start(control)
    await ticked(control, 3)
    tags = [one.payload["name"] for one in await control.outbox.waiting() if one.kind == "git.tag"]
    repository = control.followed.repository
    there = {tag.name for tag in await asyncio.to_thread(repository.tags, "release/")} | set(tags)
    assert there == {"release/production/greeting/1", "release/production/greeting/5"}


async def test_a_breach_rolls_back_and_says_why(control: Control, rolling: Scripted) -> None:
    await start(control)
    rolling.says(breached=("error_rate",), holds=())
    over = await ticked(control)
    assert (over.state, over.weight_bp) == ("rolled_back", 0)
    assert "error_rate" in over.why
    told = await live(control)
    assert (told.arms, told.rollout) == ((Arm("1.0.0", BUCKETS),), None)
    assert (await control.releases.history("greeting", PRODUCTION))[0].kind == "rollback"
    assert "rollout.rolled_back" in [one["event"] for one in await news(control)]
    why = await control.rollouts.why("greeting", PRODUCTION)
    assert why.event is not None
    assert why.event.kind == "roll_back"
    assert why.evidence is not None
    assert why.evidence.breached == ("error_rate",)


async def test_a_person_rolls_back_from_anywhere_at_once(control: Control, rolling: Scripted) -> None:
    await start(control)
    release = await control.roll_back(DEPLOYER, "greeting", PRODUCTION, "too rude")
    assert (release.kind, release.version, release.reason) == ("rollback", "1.0.0", "Rolled back by dora: too rude.")
    assert await shares(control) == [("1.0.0", BUCKETS)]
    assert rolling.looks == 0, "no evidence was asked for"
    over = (await control.rollouts.show("greeting", PRODUCTION)).rollout
    assert (over.state, over.why) == ("rolled_back", "Rolled back by dora: too rude.")


async def test_a_person_wins_against_a_look_under_way(control: Control, rolling: Scripted) -> None:
    """The rollback comes between the leader's evidence and its move."""
    await start(control)

    async def slow(rollout: object, now_ms: int) -> object:
        await control.roll_back(DEPLOYER, "greeting", PRODUCTION)
        return await Scripted.observe(rolling, rollout, now_ms)  # type: ignore[arg-type]

    rolling.observe = slow  # type: ignore[assignment,method-assign]
    over = await ticked(control)
    assert over.state == "rolled_back"
    assert await shares(control) == [("1.0.0", BUCKETS)]
    events = await control.rollouts.history("greeting", PRODUCTION)
    assert [(one.seq, one.kind) for one in events] == [(1, "start"), (2, "roll_back")]


@pytest.mark.usefixtures("rolling")
async def test_who_no_longer_leads_moves_nothing(control: Control) -> None:
    begun = await start(control)

    async def lost(tx: Tx) -> None:
        raise Conflict("Another leads.", code="lease_lost")

    with pytest.raises(Conflict):
        await control.rollouts._ticking.round(lost)
    assert (await control.rollouts.show("greeting", PRODUCTION)).rollout == begun


@pytest.mark.usefixtures("rolling")
async def test_after_a_promotion_the_same_verb_is_one_step_back(control: Control) -> None:
    await start(control)
    assert (await ticked(control, 3)).state == "promoted"
    back = await control.roll_back(DEPLOYER, "greeting", PRODUCTION)
    assert (back.kind, back.version, back.previous_version) == ("rollback", "1.0.0", None)
    assert (await control.rollouts.show("greeting", PRODUCTION)).rollout.state == "rolled_back"
    assert await shares(control) == [("1.0.0", BUCKETS)]
    assert (await control.roll_back(DEPLOYER, "greeting", PRODUCTION)).version is None, "one more is a release's"


@pytest.mark.usefixtures("rolling")
async def test_when_the_window_is_over_the_step_back_is_a_releases(control: Control) -> None:
    await start(control)
    await ticked(control, 3)
    await later(control, 90_000)
    back = await control.roll_back(DEPLOYER, "greeting", PRODUCTION)
    assert (back.version, back.reason) == ("1.0.0", "")
    assert (await control.rollouts.show("greeting", PRODUCTION)).rollout.state == "promoted"


async def test_offline_waits_for_the_newest_evaluation_of_what_the_version_says(control: Control) -> None:
    await deployed(control)
    with_plan(control, short_plan(OFFLINE, canary(100, max_hold_s=None)))
    begun = await start(control)
    assert await shares(control) == [("1.0.0", BUCKETS), ("1.1.0", 0)]
    assert (await ticked(control)).version == begun.version
    await evaluated(control, version="1.2.0")
    assert (await ticked(control)).stage == 0, "that was another version"
    await evaluated(control)
    assert (await ticked(control)).stage == 1
    await control.roll_back(DEPLOYER, "greeting", PRODUCTION)
    await evaluated(control, "block")
    await start(control)
    over = await ticked(control)
    assert over.state == "rolled_back"
    assert "never went live" in over.why


async def test_the_candidate_is_live_in_staging_during_that_stage(control: Control) -> None:
    await deployed(control)
    with_plan(control, short_plan(OFFLINE, STAGING, canary(100, max_hold_s=None)))
    await evaluated(control)
    await start(control)
    assert "staging" not in (await newest_snapshot(control)).releases
    assert (await ticked(control)).now_in.name == "staging"
    assert (await live(control, "staging")).arms == (Arm("1.1.0", BUCKETS),)
    assert (await ticked(control)).now_in.name == "100%"


async def test_copies_are_made_for_it_before_users_have_it(control: Control) -> None:
    await deployed(control)
    with_plan(control, short_plan(SHADOW, canary(100, max_hold_s=None), shadow_usd_per_day=2.5))
    await start(control)
    told = await live(control)
    assert told.rollout is not None
    shadow = told.rollout.shadow
    assert shadow is not None
    assert (shadow.share_bp, shadow.version, shadow.cap_nano_usd_per_day) == (100, "1.1.0", 2_500_000_000)
    assert await shares(control) == [("1.0.0", BUCKETS), ("1.1.0", 0)]
    await ticked(control)
    told = await live(control)
    assert told.rollout is not None
    assert told.rollout.shadow is None


async def test_after_a_rollback_copies_may_go_on_for_a_while(control: Control, rolling: Scripted) -> None:
    await start(control)
    await control.roll_back(DEPLOYER, "greeting", PRODUCTION, keep_shadow=True)
    told = await live(control)
    assert [(arm.version, arm.weight_bp) for arm in told.arms] == [("1.0.0", BUCKETS), ("1.1.0", 0)]
    assert told.rollout is not None
    assert told.rollout.shadow is not None
    assert "1.1.0" in (await newest_snapshot(control)).prompts["greeting"]
    assert (await ticked(control)).shadow_bp > 0
    await later(control, 3700)
    assert (await ticked(control)).shadow_bp == 0
    told = await live(control)
    assert (told.arms, told.rollout) == ((Arm("1.0.0", BUCKETS),), None)
    assert [one.kind for one in await control.releases.history("greeting", PRODUCTION)][:2] == ["settle", "rollback"]
    events = await control.rollouts.history("greeting", PRODUCTION)
    assert [one.seq for one in events] == [1, 2, 3]
    assert (await start(control, "1.2.0")).state == "running", "and another may start"


async def test_an_approval_is_of_a_person_with_the_role_who_is_no_author(control: Control) -> None:
    await deployed(control)
    with_plan(control, short_plan(APPROVAL, canary(100, max_hold_s=None)))
    begun = await start(control)
    assert begun.state == "awaiting_approval"
    assert "dora" in begun.authors
    assert (await ticked(control)).state == "awaiting_approval"
    rollouts = control.rollouts
    with pytest.raises(Forbidden, match=r"release\.approve"):
        await rollouts.approve(DEPLOYER, "greeting", PRODUCTION)
    own = Actor("user_d", "dora", ("deployer", "reviewer"))
    with pytest.raises(Forbidden) as caught:
        await rollouts.approve(own, "greeting", PRODUCTION)
    assert (caught.value.code, bool(caught.value.mend)) == ("own_approval", True)
    with pytest.raises(Conflict) as outdated:
        await rollouts.approve(REVIEWER, "greeting", PRODUCTION, bound=(0, "of another plan"))
    assert outdated.value.code == "approval_outdated"
    after = await rollouts.approve(REVIEWER, "greeting", PRODUCTION, note="looks good", bound=(0, begun.plan_hash))
    assert (after.state, after.weight_bp) == ("running", BUCKETS)
    assert await shares(control) == [("1.0.0", 0), ("1.1.0", BUCKETS)]
    assert [(row.actor, row.action) for row in await audited(control)][-2:] == [
        ("rita", "rollout.approve"), ("rita", "rollout.advance"),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        await rollouts.approve(REVIEWER, "greeting", PRODUCTION)


async def test_two_approvals_are_of_two_people(control: Control) -> None:
    await deployed(control)
    twice = Stage(name="approval", kind="approval", approvers=("reviewer", "admin"), approvals=2)
    with_plan(control, short_plan(twice, canary(100, max_hold_s=None)))
    await start(control)
    assert (await control.rollouts.approve(REVIEWER, "greeting", PRODUCTION)).state == "awaiting_approval"
    with pytest.raises(Conflict) as caught:
        await control.rollouts.approve(REVIEWER, "greeting", PRODUCTION)
    assert caught.value.code == "approved_already"
    assert (await control.rollouts.show("greeting", PRODUCTION)).approvals[0].who == "rita"
    other = Actor("user_a", "alice", ("admin",))
    assert (await control.rollouts.approve(other, "greeting", PRODUCTION)).state == "running"


async def test_a_pause_keeps_the_shares_and_stops_the_clock(control: Control) -> None:
    await deployed(control)
    with_plan(control, short_plan(canary(5, hold_s=60), canary(100, max_hold_s=None)))
    await start(control)
    await later(control, 30)
    paused = await control.rollouts.pause(DEPLOYER, "greeting", PRODUCTION, "lunch")
    assert (paused.state, paused.weight_bp) == ("paused", 500)
    await later(control, 300)
    assert (await ticked(control)).state == "paused"
    resumed = await control.rollouts.resume(DEPLOYER, "greeting", PRODUCTION)
    assert resumed.state == "running"
    assert resumed.paused_ms >= 300_000 - 30_000
    with pytest.raises(Conflict):
        await control.rollouts.resume(DEPLOYER, "greeting", PRODUCTION)


async def test_too_little_is_known_and_a_person_decides(control: Control, rolling: Scripted) -> None:
    with_plan(control, short_plan(canary(5, min_units=100, max_hold_s=60), canary(100, max_hold_s=None)), rolling)
    rolling.says(units=3)
    await start(control)
    await later(control, 100)
    assert (await ticked(control)).state == "inconclusive"
    assert "rollout.inconclusive" in [one["event"] for one in await news(control)]
    extended = await control.rollouts.extend(DEPLOYER, "greeting", PRODUCTION, 600, "more users at noon")
    assert extended.state == "running"
    assert (await ticked(control)).state == "running"
    with pytest.raises(Invalid):
        await control.rollouts.promote(DEPLOYER, "greeting", PRODUCTION)
    over = await control.rollouts.promote(DEPLOYER, "greeting", PRODUCTION, "we know enough")
    assert over.state == "promoted"
    assert await shares(control) == [("1.1.0", BUCKETS)]


@pytest.mark.usefixtures("rolling")
async def test_a_rebalance_goes_down_to_an_earlier_share_and_on_from_there(control: Control) -> None:
    await start(control)
    assert (await ticked(control)).weight_bp == 2500
    for percent in (25, 50, 3, 100, float("nan")):
        with pytest.raises(Invalid) as caught:
            await control.rollouts.rebalance(DEPLOYER, "greeting", PRODUCTION, percent)
        assert "5%" in caught.value.mend
    back = await control.rollouts.rebalance(DEPLOYER, "greeting", PRODUCTION, 5, "the queue is long")
    assert (back.stage, back.weight_bp, back.state) == (0, 500, "running")
    assert await shares(control) == [("1.0.0", 9500), ("1.1.0", 500)]
    await control.rollouts.pause(DEPLOYER, "greeting", PRODUCTION)
    with pytest.raises(Invalid) as caught:
        await control.rollouts.rebalance(DEPLOYER, "greeting", PRODUCTION, 5)
    assert "rollback" in caught.value.mend
    await control.rollouts.resume(DEPLOYER, "greeting", PRODUCTION)
    assert (await ticked(control)).weight_bp == 2500


@pytest.mark.usefixtures("rolling")
async def test_what_lacks_its_ground_is_refused_and_nothing_changes(control: Control, workspace: Path) -> None:
    commit(workspace, {"prompts/greeting/v2.0.0.yaml": prompt_text("greeting", "2.0.0", model="nowhere")})
    generation = (await newest_snapshot(control)).generation
    refused: tuple[tuple[dict[str, str], type[TidegateError], str], ...] = (
        ({"prompt": "farewell"}, Conflict, "nothing_live"),
        ({"version": "1.0.0"}, Conflict, "already_live"),
        ({"version": "9.9.9"}, NotFound, "prompt_version_not_found"),
        ({"version": "2.0.0"}, NotFound, "model_not_found"),
        ({"model": "nowhere"}, NotFound, "model_not_found"),
        ({"environment": "prodction"}, NotFound, "environment_not_found"),
    )
    for fields, kind, code in refused:
        with pytest.raises(kind) as caught:
            await start(control, **fields)
        assert caught.value.code == code
        assert caught.value.mend
    assert (await newest_snapshot(control)).generation == generation
    assert await control.rollouts.status() == ()


@pytest.mark.usefixtures("rolling")
async def test_one_rollout_of_a_prompt_in_an_environment_goes_on(control: Control) -> None:
    await start(control)
    with pytest.raises(Conflict) as caught:
        await start(control, "1.2.0")
    assert (caught.value.code, "release rollback greeting --env production" in caught.value.mend) == (
        "rollout_live", True,
    )  # fmt: skip
    with pytest.raises(Conflict) as caught:
        await start_experiment(control)
    assert caught.value.code == "rollout_live"
    for attempt in (
        deployed(control, "1.2.0"),
        control.releases.revert(DEPLOYER, "greeting", PRODUCTION),
        control.releases.rollback(DEPLOYER, "greeting", PRODUCTION),
    ):
        with pytest.raises(Conflict) as caught:
            await attempt
        assert caught.value.code == "rollout_live"
    ends = await asyncio.gather(
        *(start(control, "1.2.0", environment="staging") for _ in range(2)), return_exceptions=True
    )
    assert all(isinstance(end, Conflict) for end in ends), "nothing is live there"


async def test_of_two_starts_at_once_one_wins(control: Control, rolling: Scripted) -> None:
    ends = await asyncio.gather(*(start(control, one) for one in ("1.1.0", "1.2.0", "1.1.0")), return_exceptions=True)
    refused = [end for end in ends if isinstance(end, TidegateError)]
    assert len(refused) == 2
    assert {end.code for end in refused} == {"rollout_live"}
    assert len(await control.rollouts.status()) == 1


@pytest.mark.usefixtures("rolling")
async def test_beside_an_experiment_none_starts(control: Control) -> None:
    await start_experiment(control)
    with pytest.raises(Conflict) as caught:
        await start(control)
    assert caught.value.code == "experiment_running"
    assert "tone" in caught.value.message


@pytest.mark.usefixtures("rolling")
async def test_a_deploy_may_supersede_and_a_withdrawal_does(control: Control) -> None:
    await start(control)
    order = Order(kind="deploy", prompt="greeting", environment=PRODUCTION, version="1.2.0", supersede=True)
    assert (await control.releases.place(DEPLOYER, order)).version == "1.2.0"
    over = (await control.rollouts.show("greeting", PRODUCTION)).rollout
    assert (over.state, "1.2.0 was deployed" in over.why) == ("superseded", True)
    assert await shares(control) == [("1.2.0", BUCKETS)]
    await start(control)
    await control.releases.withdraw(DEPLOYER, "greeting", PRODUCTION)
    assert (await control.rollouts.show("greeting", PRODUCTION)).rollout.state == "superseded"
    assert (await newest_snapshot(control)).releases == {}
    assert await ticked(control) == (await control.rollouts.show("greeting", PRODUCTION)).rollout


async def test_another_model_takes_over_under_the_same_version_and_there_is_a_way_back(
    control: Control, rolling: Scripted
) -> None:
    begun = await start(control, None, model="spare")
    assert (begun.stable.model, begun.candidate.version, begun.candidate.model) == (None, "1.0.0", "spare")
    assert (await live(control)).arms[1] == Arm("1.0.0", 500, "candidate", "spare")
    assert (await ticked(control, 3)).state == "promoted"
    told = await live(control)
    assert (told.arms, told.previous_version) == ((Arm("1.0.0", BUCKETS, model="spare"),), "1.0.0")
    with pytest.raises(Conflict) as caught:
        await control.apply(SYSTEM, "\n".join(one for one in CONFIG.splitlines() if "spare:" not in one), "t.yaml")
    assert caught.value.code == "model_in_use"
    await deployed(control, "1.1.0")
    back = await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)
    assert (back.arms, back.trail) == ((Arm("1.0.0", BUCKETS, model="spare"),), ("1.0.0",))
    assert (await control.roll_back(DEPLOYER, "greeting", PRODUCTION)).arms == (Arm("1.0.0", BUCKETS),)


PROTECTED = CONFIG.replace("production: {}", "production: {protected: true}")


async def test_in_a_protected_environment_a_version_is_not_replaced_at_once(control: Control) -> None:
    await control.apply(SYSTEM, PROTECTED, "tidegate.yaml")
    await deployed(control)
    with pytest.raises(Conflict) as caught:
        await deployed(control, "1.1.0")
    assert caught.value.code == "environment_protected"
    assert "tidegate release start greeting@1.1.0 --env production" in caught.value.mend
    hasty: dict[str, Any] = {
        "kind": "deploy",
        "prompt": "greeting",
        "environment": PRODUCTION,
        "version": "1.1.0",
        "emergency": True,
    }
    with pytest.raises(Invalid):
        await control.releases.place(DEPLOYER, Order(**hasty))
    with pytest.raises(Forbidden):
        await control.releases.place(REVIEWER, Order(**hasty, reason="now"))
    release = await control.releases.place(DEPLOYER, Order(**hasty, reason="users see errors"))
    assert release.version == "1.1.0"
    row = (await control.identity.list_audit(SYSTEM, limit=1, subject="release/"))[0]
    assert (row.diff["emergency"], row.diff["reason"]) == (True, "users see errors")
    assert [one["subject"] for one in await news(control) if one.get("detail", {}).get("emergency")] == [
        "release/production/greeting"
    ]
    assert (await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)).version == "1.0.0", "back is free"
    with_plan(control, short_plan())
    await start(control)
    assert (await ticked(control, 3)).state == "promoted"


async def test_what_an_experiment_has_shipped_may_go_live_at_once(control: Control) -> None:
    await control.apply(SYSTEM, PROTECTED, "tidegate.yaml")
    await deployed(control)
    await start_experiment(control)
    await control.experiments.decide(DEPLOYER, "tone", "it is better", answer="ship")
    assert (await deployed(control, "1.1.0")).version == "1.1.0"
    with pytest.raises(Conflict):
        await deployed(control, "1.2.0")


async def test_only_those_who_may_deploy_may_start_and_steer(control: Control, rolling: Scripted) -> None:
    await start(control)
    rollouts = control.rollouts
    wanted = Wanted(prompt="greeting", environment=PRODUCTION, version="1.2.0")
    for role in ("editor", "reviewer"):
        who = Actor("user_n", "nora", (role,))
        for attempt in (
            rollouts.start(who, wanted),
            rollouts.pause(who, "greeting", PRODUCTION),
            rollouts.resume(who, "greeting", PRODUCTION),
            rollouts.extend(who, "greeting", PRODUCTION, 60),
            rollouts.rebalance(who, "greeting", PRODUCTION, 5),
            rollouts.promote(who, "greeting", PRODUCTION, "why not"),
            control.roll_back(who, "greeting", PRODUCTION),
        ):
            with pytest.raises(Forbidden, match=r"release\.deploy"):
                await attempt
    assert (await control.rollouts.show("greeting", PRODUCTION)).rollout.version == 1


async def test_a_rollout_that_never_was_is_not_found(control: Control) -> None:
    with pytest.raises(NotFound) as caught:
        await control.rollouts.show("greeting", PRODUCTION)
    assert "release start greeting@VERSION" in caught.value.mend
