"""Releases on both databases: what is live, what is written down with it, and what is refused."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import delete

from tests.support.control import CONFIG, commit, newest_snapshot, prompt_text, running_control, settings_for
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, Actor, AuditRow
from tidegate.control.prompts.store import PROMPT_VERSIONS
from tidegate.control.releases.model import Release
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, InvalidDocument, NotFound, TidegateError

DEPLOYER = Actor("user_d", "dora", ("deployer",))
PRODUCTION = "production"


async def newest_audit(control: Control, count: int = 1) -> list[AuditRow]:
    return await control.identity.list_audit(SYSTEM, limit=count, subject="release/")


async def live(control: Control, environment: str = PRODUCTION) -> str | None:
    told = (await newest_snapshot(control)).releases.get(environment, {}).get("greeting")
    return told.arms[0].version if told is not None else None


async def deploy(control: Control, *versions: str) -> Release:
    done = [await control.releases.deploy(DEPLOYER, "greeting", version, PRODUCTION) for version in versions]
    return done[-1]


async def test_a_deploy_is_live_in_the_snapshot_with_the_way_back_beside_it(control: Control) -> None:
    first = await deploy(control, "1.0.0")
    assert (first.number, first.previous_version, first.config_revision) == (1, None, 1)
    second = await deploy(control, "1.1.0")
    snapshot = await newest_snapshot(control)
    told = snapshot.releases[PRODUCTION]["greeting"]
    assert (told.number, told.arms[0].version, told.previous_version) == (2, "1.1.0", "1.0.0")
    assert told.release_id == second.release_id
    assert set(snapshot.prompts["greeting"]) == {"1.0.0", "1.1.0"}
    assert snapshot.prompts["greeting"]["1.1.0"].content_hash == second.content_hash
    assert snapshot.deployments["local"].base_url == "http://127.0.0.1:8082/v1"
    await deploy(control, "1.2.0")
    assert set((await newest_snapshot(control)).prompts["greeting"]) == {"1.1.0", "1.2.0"}


async def test_environments_do_not_know_of_each_other(control: Control) -> None:
    await deploy(control, "1.0.0")
    await control.releases.deploy(DEPLOYER, "greeting", "1.2.0", "staging")
    assert (await live(control), await live(control, "staging")) == ("1.0.0", "1.2.0")
    assert [one.environment for one in await control.releases.status()] == ["production", "staging"]
    assert [one.version for one in await control.releases.status("staging")] == ["1.2.0"]
    assert await control.releases.status(prompt="farewell") == ()


async def test_a_rollback_goes_back_step_by_step_and_then_out(control: Control) -> None:
    await deploy(control, "1.0.0", "1.1.0", "1.2.0")
    for version in ("1.1.0", "1.0.0", None):
        done = await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION, reason="worse")
        assert done.version == version
        assert await live(control) == version
    with pytest.raises(Conflict) as caught:
        await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)
    assert caught.value.code == "nothing_live"
    line = await control.releases.history("greeting", PRODUCTION)
    assert [(one.number, one.kind, one.version) for one in line] == [
        (6, "rollback", None), (5, "rollback", "1.0.0"), (4, "rollback", "1.1.0"),
        (3, "deploy", "1.2.0"), (2, "deploy", "1.1.0"), (1, "deploy", "1.0.0"),
    ]  # fmt: skip
    assert (await control.releases.history("greeting", PRODUCTION, limit=2))[-1].number == 5


async def test_a_rollback_does_not_need_git(control: Control, workspace: Path) -> None:
    await deploy(control, "1.0.0", "1.1.0")
    (workspace / ".git").rename(workspace / "gone")
    assert (await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)).version == "1.0.0"
    assert await live(control) == "1.0.0"


async def test_a_withdrawal_takes_it_out(control: Control) -> None:
    await deploy(control, "1.0.0", "1.1.0")
    done = await control.releases.withdraw(DEPLOYER, "greeting", PRODUCTION, reason="wrong audience")
    assert (done.version, done.arms) == (None, ())
    snapshot = await newest_snapshot(control)
    assert (snapshot.releases, snapshot.prompts) == ({}, {})
    assert (await control.releases.status())[0].kind == "withdraw"


async def test_every_change_leaves_an_audit_row_with_actor_time_and_diff(control: Control) -> None:
    await deploy(control, "1.0.0")
    release = await control.releases.deploy(DEPLOYER, "greeting", "1.1.0", PRODUCTION, reason="friendlier")
    await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)
    back, forth = await newest_audit(control, 2)
    assert (forth.actor, forth.action, forth.subject) == ("dora", "release.deploy", "release/production/greeting")
    assert forth.at_ms == release.at_ms
    assert forth.diff["before"] == {"number": 1, "version": "1.0.0"}
    assert forth.diff["after"] == {"number": 2, "version": "1.1.0"}
    assert forth.diff["reason"] == "friendlier"
    assert forth.diff["content_hash"] == release.content_hash
    assert back.action == "release.rollback"


HOMELESS = prompt_text("homeless", "1.0.0", model="nowhere")
REFUSED: tuple[tuple[str, str, str, type[TidegateError], str], ...] = (
    ("greting", "1.0.0", PRODUCTION, NotFound, "Did you mean greeting"),
    ("greeting", "9.9.9", PRODUCTION, NotFound, "greeting@1.0.0"),
    ("greeting", "latest", PRODUCTION, Invalid, "MAJOR.MINOR.PATCH"),
    ("greeting", "1.0.0", "prodction", NotFound, "Did you mean production"),
    ("Greeting!", "1.0.0", PRODUCTION, Invalid, "a-z"),
    ("broken", "1.0.0", PRODUCTION, InvalidDocument, "broken"),
    ("homeless", "1.0.0", PRODUCTION, NotFound, "nowhere"),
)


async def test_what_cannot_be_deployed_is_refused_and_nothing_changes(control: Control, workspace: Path) -> None:
    commit(workspace, {"prompts/broken/v1.0.0.yaml": "name: [", "prompts/homeless/v1.0.0.yaml": HOMELESS})
    generation = (await newest_snapshot(control)).generation
    for prompt, version, environment, kind, said in REFUSED:
        with pytest.raises(kind) as caught:
            await control.releases.deploy(DEPLOYER, prompt, version, environment)
        assert said in str(caught.value)
    assert (await newest_snapshot(control)).generation == generation
    assert await control.releases.status() == ()
    assert await newest_audit(control) == []


async def test_only_deployers_and_admins_may(control: Control) -> None:
    await deploy(control, "1.0.0", "1.1.0")
    releases = control.releases
    for roles in ((), ("editor",), ("reviewer",), ("editor", "reviewer")):
        nobody = Actor("user_n", "nora", roles)
        for attempt in (
            lambda who=nobody: releases.deploy(who, "greeting", "1.2.0", PRODUCTION),
            lambda who=nobody: releases.rollback(who, "greeting", PRODUCTION),
            lambda who=nobody: releases.revert(who, "greeting", PRODUCTION),
            lambda who=nobody: releases.withdraw(who, "greeting", PRODUCTION),
        ):
            with pytest.raises(Forbidden, match=r"release\.deploy"):
                await attempt()
    assert await live(control) == "1.1.0"


async def test_a_deploy_whose_way_back_is_not_in_the_registry_is_refused(control: Control) -> None:
    await deploy(control, "1.0.0")
    async with control.db.write() as tx:
        await tx.execute(delete(PROMPT_VERSIONS).where(PROMPT_VERSIONS.c.version == "1.0.0"))
    with pytest.raises(Conflict, match=r"way back .* is missing: it is not in the registry") as caught:
        await deploy(control, "1.1.0")
    assert caught.value.code == "way_back_missing"
    await control.releases.withdraw(DEPLOYER, "greeting", PRODUCTION)
    assert (await deploy(control, "1.1.0")).previous_version is None


async def test_a_configuration_may_not_take_the_ground_away(control: Control, workspace: Path) -> None:
    spare = prompt_text("greeting", "2.0.0", model="spare")
    commit(workspace, {"prompts/greeting/v2.0.0.yaml": spare})
    await deploy(control, "1.0.0", "2.0.0")
    without_spare = "\n".join(line for line in CONFIG.splitlines() if "spare" not in line)
    with pytest.raises(Conflict, match=r"2\.0\.0 \(live\) asks for the model 'spare'") as caught:
        await control.apply(SYSTEM, without_spare, "tidegate.yaml")
    assert caught.value.code == "model_in_use"
    without_route = CONFIG.partition("routes:")[0]
    with pytest.raises(Conflict, match=r"1\.0\.0 \(the way back\) asks for the model 'fast'"):
        await control.apply(SYSTEM, without_route, "tidegate.yaml")
    with pytest.raises(Conflict) as caught:
        await control.apply(SYSTEM, CONFIG.replace("production: {}", "live: {}"), "tidegate.yaml")
    assert caught.value.code == "environment_in_use"
    await control.releases.withdraw(DEPLOYER, "greeting", PRODUCTION)
    await control.apply(SYSTEM, without_spare, "tidegate.yaml")


async def test_a_released_version_is_immutable(control: Control, workspace: Path) -> None:
    await deploy(control, "1.0.0", "1.1.0")
    commit(workspace, {"prompts/greeting/v1.0.0.yaml": prompt_text("greeting", "1.0.0", words="Hi")})
    with pytest.raises(Conflict) as caught:
        await deploy(control, "1.0.0")
    assert caught.value.code == "published_version_edited"
    assert (await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)).version == "1.0.0"
    kept = (await newest_snapshot(control)).prompts["greeting"]["1.0.0"]
    assert kept.messages[0].content.startswith("Hello")


async def test_a_reason_has_a_bound(control: Control) -> None:
    with pytest.raises(Invalid, match="2000"):
        await control.releases.deploy(DEPLOYER, "greeting", "1.0.0", PRODUCTION, reason="x" * 2001)


async def test_twenty_at_once_leave_no_hole_and_no_step_back(control: Control) -> None:
    await deploy(control, "1.0.0")
    before = (await newest_snapshot(control)).generation
    generations: list[int] = []

    async def watch() -> None:
        while True:
            generations.append((await newest_snapshot(control)).generation)
            await asyncio.sleep(0)

    async def one(number: int) -> Release | TidegateError:
        try:
            if number % 3 == 2:
                return await control.releases.rollback(DEPLOYER, "greeting", PRODUCTION)
            return await deploy(control, ("1.1.0", "1.2.0")[number % 2])
        except TidegateError as error:
            return error

    watching = asyncio.create_task(watch())
    results = await asyncio.gather(*(one(number) for number in range(20)))
    watching.cancel()
    done = [result for result in results if isinstance(result, Release)]
    refused = [result for result in results if isinstance(result, TidegateError)]
    assert {error.code for error in refused} <= {"already_live", "nothing_live"}
    line = await control.releases.history("greeting", PRODUCTION, limit=100)
    assert [one.number for one in line] == list(range(len(done) + 1, 0, -1))
    assert len({one.release_id for one in line}) == len(line)
    assert generations == sorted(generations)
    newest = await newest_snapshot(control)
    assert newest.generation == before + len(done)
    told = newest.releases.get(PRODUCTION, {}).get("greeting")
    assert (told.number if told else None) == (line[0].number if line[0].arms else None)


async def test_a_restart_finds_pointers_as_they_were(workspace: Path) -> None:
    async with running_control(settings_for(workspace)) as first:
        await deploy(first, "1.0.0", "1.1.0")
    async with running_control(settings_for(workspace)) as second:
        assert [one.version for one in await second.releases.status()] == ["1.1.0"]
        assert (await second.releases.rollback(DEPLOYER, "greeting", PRODUCTION)).version == "1.0.0"
