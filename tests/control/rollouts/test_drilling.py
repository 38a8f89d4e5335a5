"""Drills: the way back is walked, measured and written down, and the environment is as it was."""

from pathlib import Path

import pytest

from tests.support.control import CONFIG, newest_snapshot
from tests.support.rolling import DEPLOYER, PRODUCTION, audited, short_plan, start, ticked, with_plan
from tidegate.app.control import Control
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.rollouts.drilling import Drilling
from tidegate.control.rollouts.model import Stage
from tidegate.control.rollouts.ports import Adopted
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class Gateways:
    """Gateways that serve in time, or do not."""

    def __init__(self, *, in_time: bool = True) -> None:
        self.in_time = in_time
        self.asked: list[int] = []

    async def adopted(self, generation: int, timeout_s: float) -> Adopted:
        self.asked.append(generation)
        return Adopted(self.in_time, 3)


def drilling(control: Control, gateways: Gateways) -> Drilling:
    return Drilling(control.db, lambda: control.releases, gateways)


async def test_each_step_is_measured_until_the_gateways_serve_it(control: Control) -> None:
    await control.releases.deploy(DEPLOYER, "greeting", "1.0.0", "staging")
    gateways = Gateways()
    found = await drilling(control, gateways).drill(DEPLOYER, "greeting", "staging", version="1.1.0")
    assert found.ok
    assert [(one.step, one.version, one.gateways) for one in found.steps] == [
        ("live", "1.1.0", 3), ("back", "1.0.0", 3),
    ]  # fmt: skip
    assert all(one.adopted_ms is not None and one.adopted_ms >= one.committed_ms > 0 for one in found.steps)
    assert gateways.asked == [one.generation for one in found.steps]
    told = (await newest_snapshot(control)).releases["staging"]["greeting"]
    assert (told.arms[0].version, told.previous_version) == ("1.0.0", None)
    assert [(row.action, row.subject) for row in await audited(control)] == [
        ("rollout.drill", "rollout/staging/greeting")
    ]


async def test_a_step_that_nobody_serves_in_time_is_told(control: Control) -> None:
    found = await drilling(control, Gateways(in_time=False)).drill(DEPLOYER, "greeting", "staging", version="1.1.0")
    assert not found.ok
    assert [one.adopted_ms for one in found.steps] == [None, None]


async def test_a_plan_may_ask_for_it(control: Control) -> None:
    await control.releases.deploy(DEPLOYER, "greeting", "1.0.0", PRODUCTION)
    with_plan(control, short_plan(Stage(name="staging", kind="staging", drill=True, max_hold_s=3600)))
    await start(control)
    assert (await ticked(control)).state == "running"
    found = await drilling(control, Gateways()).drill(DEPLOYER, "greeting", "staging")
    assert [one.step for one in found.steps] == ["back", "live"], "the candidate is live there, and is again"
    assert (await ticked(control)).state == "promoted"


async def test_where_users_are_it_needs_to_be_said(control: Control) -> None:
    protected = CONFIG.replace("production: {}", "production: {protected: true}")
    await control.apply(SYSTEM, protected, "tidegate.yaml")
    await control.releases.deploy(DEPLOYER, "greeting", "1.0.0", PRODUCTION)
    ours = drilling(control, Gateways())
    with pytest.raises(Conflict) as caught:
        await ours.drill(DEPLOYER, "greeting", PRODUCTION, version="1.1.0")
    assert caught.value.code == "environment_protected"
    assert "--env staging" in caught.value.mend
    assert (await ours.drill(DEPLOYER, "greeting", PRODUCTION, version="1.1.0", force=True)).ok


async def test_what_cannot_be_drilled_is_refused_and_nothing_changes(control: Control, workspace: Path) -> None:
    ours = drilling(control, Gateways())
    with pytest.raises(Invalid):
        await ours.drill(DEPLOYER, "greeting", "staging")
    with pytest.raises(NotFound):
        await ours.drill(DEPLOYER, "greeting", "staging", version="9.9.9")
    with pytest.raises(NotFound):
        await ours.drill(DEPLOYER, "greeting", "stagin", version="1.1.0")
    with pytest.raises(Forbidden):
        await ours.drill(Actor("user_e", "ed", ("editor",)), "greeting", "staging", version="1.1.0")
    await control.releases.deploy(DEPLOYER, "greeting", "1.0.0", PRODUCTION)
    with_plan(control, short_plan())
    await start(control)
    with pytest.raises(Conflict) as caught:
        await ours.drill(DEPLOYER, "greeting", PRODUCTION, version="1.2.0")
    assert caught.value.code == "rollout_live"
    assert "staging" not in (await newest_snapshot(control)).releases
