"""Experiments on both databases: how they are decided, and what a tick makes of them."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support.control import newest_snapshot
from tests.support.trials import (
    DEPLOYER,
    STEADY,
    ago,
    audited,
    better,
    failing,
    news,
    start,
    told,
    well,
    write_calls,
)
from tidegate.app.control import Control
from tidegate.control.experiments import store
from tidegate.control.experiments.model import Experiment
from tidegate.control.experiments.service import Experiments
from tidegate.control.monitoring.exposures import Exposures
from tidegate.control.monitoring.service import Calls
from tidegate.control.policies.model import Retention
from tidegate.kernel.errors import Conflict, Invalid, NotFound, Unavailable


async def test_a_rule_that_has_an_answer_decides(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY), 20)
    await write_calls(control, began, 1500, 600, fields=well, says=better)
    found = await control.experiments.analyze("tone")
    assert (found.decision.answer, found.decision.variant) == ("ship", "treatment")
    over = await control.experiments.decide(DEPLOYER, "tone", "as the rule says")
    assert over.state == "decided"
    assert over.decision is not None
    assert (over.decision.answer, over.decision.variant) == ("ship", "treatment")
    assert await told(control) == ()
    (row, _) = await audited(control)
    assert (row.action, row.diff["answer"], row.diff["variant"]) == ("experiment.decide", "ship", "treatment")
    assert [one["event"] for one in await news(control)] == ["experiment.started", "experiment.decided"]
    after = await control.experiments.analyze("tone")
    assert after.state == "decided"
    assert after.decision.answer == "ship"


async def test_an_open_rule_decides_nothing_but_an_answer_can_be_forced_with_a_reason(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY), 2)
    await write_calls(control, began, 60, 60, fields=well, says=better)
    with pytest.raises(Conflict) as caught:
        await control.experiments.decide(DEPLOYER, "tone")
    assert caught.value.code == "experiment_open"
    wrongs: tuple[dict[str, Any], ...] = (
        {"answer": "ship"},
        {"answer": "ship", "variant": "control", "reason": "x"},
        {"variant": "treatment"},
    )
    for wrong in wrongs:
        with pytest.raises((Invalid, NotFound)):
            await control.experiments.decide(DEPLOYER, "tone", **wrong)
    assert len(await told(control)) == 1
    over = await control.experiments.decide(DEPLOYER, "tone", "the campaign ends", answer="ship")
    assert over.decision is not None
    assert (over.decision.answer, over.decision.variant) == ("ship", "treatment")
    last = (await control.experiments.show("tone")).events[-1]
    assert (last.kind, last.detail["forced"], last.detail["rule_said"]) == ("decided", True, "inconclusive")


async def test_a_breached_guardrail_stops_it_once(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY), 20)
    await write_calls(control, began, 1500, 1199, fields=failing, says=better)
    await asyncio.gather(*(control.experiments.tick() for _ in range(3)))
    shown = await control.experiments.show("tone")
    assert shown.experiment.state == "stopped"
    assert shown.experiment.decision is not None
    assert (shown.experiment.decision.answer, shown.experiment.decision.variant) == ("keep", "control")
    assert "error_rate" in shown.experiment.decision.why
    assert [(one.kind, one.actor) for one in shown.events] == [("started", "dora"), ("stopped", "system")]
    assert await told(control) == ()
    assert [one["event"] for one in await news(control)] == ["experiment.started", "experiment.stopped"]


async def test_one_that_shall_only_warn_goes_on(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY + "  on_breach: warn\n"), 20)
    await write_calls(control, began, 1500, 1199, fields=failing, says=better)
    await control.experiments.tick()
    assert (await control.experiments.show("tone")).experiment.state == "running"
    assert (await control.experiments.analyze("tone")).guardrails["treatment"].answer == "block"


async def test_nothing_is_judged_when_no_call_came_in_since_the_window(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY), 20)
    await write_calls(control, began, 1500, 600, fields=failing, says=better)  # silent for the last ten hours
    await control.experiments.tick()
    assert (await control.experiments.show("tone")).experiment.state == "running"
    async with control.db.read() as tx:
        assert (await store.looks(tx, began.experiment_id)).looked_at_ms == began.started_at_ms


BANDIT = "  bandit: {every: 10m, floor: 0.1}\n"


async def test_a_bandit_follows_what_is_learned_and_tells_the_gateways_only_of_changes(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY + BANDIT), 20)
    await write_calls(control, began, 1500, 1199, fields=well, says=better)
    before = (await newest_snapshot(control)).generation
    await asyncio.gather(*(control.experiments.tick() for _ in range(3)))
    shown = await control.experiments.show("tone")
    assert sum(shown.experiment.weights_bp) == 10_000
    assert shown.experiment.weights_bp[1] > 6000
    assert [one.kind for one in shown.events] == ["started", "reweighed"]
    snapshot = await newest_snapshot(control)
    assert snapshot.generation == before + 1
    (live,) = await told(control)
    assert tuple(one.weight_bp for one in live.variants) == shown.experiment.weights_bp
    await control.experiments.tick()
    assert (await newest_snapshot(control)).generation == snapshot.generation
    found = await control.experiments.analyze("tone")
    assert found.bandit is not None
    assert [weights for _, weights in found.bandit.weights] == [(5000, 5000), shown.experiment.weights_bp]


class Away(Calls):
    """The call log, of which one experiment's part cannot be read."""

    broken = ""

    async def exposures(self, experiment_id: str) -> Exposures:
        if experiment_id == self.broken:
            raise Unavailable("The calls' store is away.", code="records_unavailable")
        return await super().exposures(experiment_id)


async def test_a_store_that_is_away_decides_nothing_and_hides_no_other_experiment(control: Control) -> None:
    first = await ago(control, await start(control, "one", share=50, more=STEADY + "  environment: staging\n"), 20)
    second = await ago(control, await start(control, "two", more=STEADY), 20)
    for began in (first, second):
        await write_calls(control, began, 1500, 1199, fields=failing, says=better)
    away = Away(control.calls._db, control.calls._batches)
    away.broken = first.experiment_id
    experiments = Experiments(control.db, control._publish, control.prompts, away)
    with pytest.raises(Unavailable):
        await experiments.tick()
    states = {one.definition.name: one.state for one in await control.experiments.status()}
    assert states == {"one": "running", "two": "stopped"}
    with pytest.raises(Unavailable):
        await experiments.decide(DEPLOYER, "one")
    await control.experiments.tick()
    assert (await control.experiments.show("one")).experiment.state == "stopped"


async def ended_long_ago(control: Control, experiment: Experiment, minutes: float) -> None:
    ended_at_ms = (experiment.ended_at_ms or 0) - round(minutes * 60_000)
    place = store.EXPERIMENTS.c.experiment_id == experiment.experiment_id
    async with control.db.write() as tx:
        await tx.execute(sa.update(store.EXPERIMENTS).where(place).values(ended_at_ms=ended_at_ms))


async def test_the_last_analysis_outlives_the_calls(control: Control) -> None:
    began = await ago(control, await start(control, more=STEADY), 20)
    await write_calls(control, began, 1500, 600, fields=well, says=better)
    over = await control.experiments.decide(DEPLOYER, "tone", "the campaign ends", answer="keep")
    await control.experiments.tick()
    async with control.db.read() as tx:
        assert await store.kept_analysis(tx, over.experiment_id) is None, "calls may still be under way"
    await ended_long_ago(control, over, 5)
    await asyncio.gather(*(control.experiments.tick() for _ in range(2)))
    found = await control.experiments.analyze("tone")
    assert found.state == "decided"
    assert found.units > 1000
    assert found.decision.answer == "ship"
    assert "the campaign ends" in found.warnings[0]
    async with control.db.read() as tx:
        now_ms = await control.db.now_ms(tx)
    await control.calls.prune(now_ms + 90 * 86_400_000, Retention())
    assert (await control.calls.exposures(over.experiment_id)).calls == []
    assert await control.experiments.analyze("tone") == found
