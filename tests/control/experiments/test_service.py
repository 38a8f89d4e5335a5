"""Experiments on both databases: what starts, what the gateways are told, who gets what, and how it is stopped."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.support.control import CONFIG, commit, newest_snapshot, prompt_text
from tests.support.trials import (
    DEPLOYER,
    STEADY,
    ago,
    audited,
    better,
    definition_text,
    news,
    start,
    told,
    well,
    write_calls,
)
from tidegate.app.control import Control
from tidegate.control.experiments.model import Experiment
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TidegateError


def by_request(name: str, **how: Any) -> str:
    return definition_text(name, **how).replace("unit: user", "unit: request").replace("  observe: 1m\n", "")


async def test_a_start_is_told_to_the_gateways_with_the_versions_it_needs(control: Control) -> None:
    started = await start(control)
    snapshot = await newest_snapshot(control)
    (live,) = await told(control)
    assert (live.experiment_id, live.name, live.unit, live.salt) == (
        started.experiment_id, "tone", "user", started.experiment_id,
    )  # fmt: skip
    assert [(one.name, one.version, one.weight_bp) for one in live.variants] == [
        ("control", "1.0.0", 5000),
        ("treatment", "1.1.0", 5000),
    ]
    assert (live.layer, live.from_bp, live.to_bp) == ("tone", 0, 10_000)
    assert set(snapshot.prompts["greeting"]) == {"1.0.0", "1.1.0"}
    assert snapshot.releases == {}
    (row,) = await audited(control)
    assert (row.actor, row.action, row.subject) == ("dora", "experiment.start", "experiment/production/tone")
    assert row.diff["experiment_id"] == started.experiment_id
    shown = await control.experiments.show("tone")
    assert shown.experiment == started
    assert [(one.kind, one.actor) for one in shown.events] == [("started", "dora")]
    assert [one["event"] for one in await news(control)] == ["experiment.started"]


async def test_a_share_of_the_traffic_is_a_stretch_of_a_layer_and_weights_are_of_the_experiments_own_units(
    control: Control,
) -> None:
    first = await start(control, "one", share=15, more="  layer: tones\n")
    second = await start(control, "two", share=30, more="  layer: tones\n")
    assert [(one.from_bp, one.to_bp) for one in (first, second)] == [(0, 3000), (3000, 9000)]
    assert first.weights_bp == second.weights_bp == (5000, 5000)
    assert [one.name for one in await told(control)] == ["one", "two"]
    with pytest.raises(Conflict) as caught:
        await start(control, "three", share=10, more="  layer: tones\n")
    assert caught.value.code == "layer_full"
    assert "10%" in caught.value.mend
    with pytest.raises(Conflict) as caught:
        await control.experiments.start(DEPLOYER, by_request("four", more="  layer: tones\n", share=5))
    assert caught.value.code == "layer_unit"
    await control.experiments.stop(DEPLOYER, "one")
    third = await start(control, "three", share=5, more="  layer: tones\n")
    assert (third.from_bp, third.to_bp) == (0, 1000), "what was freed is given again"


async def test_one_subject_is_in_one_layer_and_a_name_runs_once(control: Control) -> None:
    await start(control, "one", share=10)
    for name, code in (("two", "experiment_layer"), ("one", "experiment_running")):
        with pytest.raises(Conflict) as caught:
            await start(control, name, share=10)
        assert caught.value.code == code
    assert [one.name for one in await told(control)] == ["one"]
    for share, mend in (
        (10, "`layer: one`, to share"),
        (45, "`layer: one`, with 80% of the traffic at most, to share"),
    ):
        with pytest.raises(Conflict) as caught:
            await start(control, "two", share=share)
        assert mend in caught.value.mend
    commit_free = definition_text("elsewhere", share=10, more="  environment: staging\n")
    await control.experiments.start(DEPLOYER, commit_free)
    assert set((await newest_snapshot(control)).experiments) == {"production", "staging"}


REFUSED: tuple[tuple[str, str, type[TidegateError], str], ...] = (
    ("greeting@1.1.0", "greeting@9.9.9", NotFound, "greeting@1.0.0"),
    ("greeting@", "homeless@", NotFound, "nowhere"),
    ("treatment: {", "treatment: {model: nobody, ", NotFound, "treatment"),
    ("  unit: user", "  environment: prodction\n  unit: user", NotFound, "production"),
    ("error_rate]", "p95_latency_ms]", Invalid, "p95_latency_ms"),
    ("unit: user", "unit: usr", Invalid, "experiment.yaml:8"),
)


async def test_what_lacks_its_ground_is_refused_and_nothing_changes(control: Control, workspace: Path) -> None:
    files = {
        f"prompts/homeless/v{one}.yaml": prompt_text("homeless", one, model="nowhere") for one in ("1.0.0", "1.1.0")
    }
    commit(workspace, files)
    generation = (await newest_snapshot(control)).generation
    for old, new, kind, said in REFUSED:
        text = definition_text().replace(old, new)
        assert text != definition_text()
        with pytest.raises(kind) as caught:
            await control.experiments.start(DEPLOYER, text)
        assert said in str(caught.value), caught.value
    assert (await newest_snapshot(control)).generation == generation
    assert await control.experiments.status() == ()
    assert await audited(control) == []


async def test_only_those_who_may_deploy_may_start_and_end(control: Control) -> None:
    await start(control)
    experiments = control.experiments
    for role in ("editor", "reviewer"):
        nobody = Actor("user_e", "ed", (role,))
        for asked in (
            experiments.start(nobody, definition_text("other")),
            experiments.stop(nobody, "tone"),
            experiments.decide(nobody, "tone"),
        ):
            with pytest.raises(Forbidden):
                await asked
    assert len(await told(control)) == 1


async def test_of_two_starts_at_once_one_wins(control: Control) -> None:
    ends = await asyncio.gather(*(start(control) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(end, Experiment) for end in ends) == 1
    assert {end.code for end in ends if isinstance(end, TidegateError)} == {"experiment_running"}
    assert len(await control.experiments.status()) == 1


async def test_a_configuration_that_takes_the_ground_away_is_refused(control: Control) -> None:
    await start(control)
    with pytest.raises(Conflict) as caught:
        await control.apply(SYSTEM, CONFIG.replace("  fast:", "  slow:"), "tidegate.yaml")
    assert "tone" in caught.value.message
    assert caught.value.code == "model_in_use"
    with pytest.raises(Conflict):
        await control.apply(SYSTEM, CONFIG.replace("production: {}", "live: {}"), "tidegate.yaml")
    await control.experiments.stop(DEPLOYER, "tone")
    await control.apply(SYSTEM, CONFIG.replace("  fast:", "  slow:"), "tidegate.yaml")


ALIAS = """\
experiment:
  name: smaller
  subject: fast
  variants:
    control: {model: local}
    treatment: {model: spare}
  metrics: [error_rate, cost_per_query]
  unit: request
  duration: 2d
"""


async def test_two_models_are_tried_behind_an_alias(control: Control) -> None:
    await control.experiments.start(DEPLOYER, ALIAS)
    snapshot = await newest_snapshot(control)
    (live,) = snapshot.experiments["production"]["fast"]
    assert [(one.version, one.model) for one in live.variants] == [(None, "local"), (None, "spare")]
    assert snapshot.prompts == {}
    for there, instead in (("  spare:", "  other:"), ("  fast:", "  slow:")):
        with pytest.raises(Conflict) as caught:
            await control.apply(SYSTEM, CONFIG.replace(there, instead), "tidegate.yaml")
        assert caught.value.code == "model_in_use"
    with pytest.raises(NotFound, match="spare"):
        await control.experiments.start(DEPLOYER, ALIAS.replace("smaller", "other").replace("spare", "spar"))


async def test_peeking_tells_what_a_unit_gets_and_enrols_nobody(control: Control) -> None:
    await start(control, share=20)
    found = [await control.experiments.peek("tone", f"user-{number}") for number in range(400)]
    inside = [one for one in found if one.variant is not None]
    assert 100 < len(inside) < 220  # of 400 about 160, standard deviation 10
    assert {one.version for one in inside} == {"1.0.0", "1.1.0"}
    assert {one.propensity for one in inside} == {0.5}
    assert "40%" in next(one.why for one in found if one.variant is None)
    assert (await control.experiments.peek("tone", inside[0].unit)) == inside[0]
    assert (
        await control.calls.exposures((await control.experiments.show("tone")).experiment.experiment_id)
    ).calls == []
    for unit in ("", "x" * 300):
        with pytest.raises(Invalid):
            await control.experiments.peek("tone", unit)


async def test_a_stop_takes_it_out_of_the_snapshot_and_keeps_the_run(control: Control) -> None:
    await start(control)
    over = await control.experiments.stop(DEPLOYER, "tone", "wrong prompt")
    assert over.state == "stopped"
    assert over.ended_at_ms is not None
    snapshot = await newest_snapshot(control)
    assert (snapshot.experiments, snapshot.prompts) == ({}, {})
    assert [one.kind for one in (await control.experiments.show("tone")).events] == ["started", "stopped"]
    assert (await audited(control))[0].diff["reason"] == "wrong prompt"
    with pytest.raises(Conflict) as caught:
        await control.experiments.stop(DEPLOYER, "tone")
    assert caught.value.code == "experiment_over"
    again = await start(control)
    assert again.salt != over.salt, "a new run deals anew"
    assert [one.state for one in await control.experiments.status()] == ["running", "stopped"]
    with pytest.raises(NotFound, match="tone"):
        await control.experiments.show("tune")


async def test_a_preview_tells_what_the_last_days_show_and_starts_nothing(control: Control) -> None:
    empty = await control.experiments.preview(definition_text())
    assert empty.units_per_day is None
    began = await ago(control, await start(control, more=STEADY), 48)
    await write_calls(control, began, 1200, 47 * 60, fields=well, says=better)
    text = definition_text("next").replace("error_rate]", "p95_latency_ms]")
    found = await control.experiments.preview(text)
    assert found.units_per_day == pytest.approx(600, rel=0.05)
    helpful, slow = found.definition.metrics
    assert helpful.baseline == pytest.approx(0.6, abs=0.1)
    assert slow.above == 20.0, "every call took 20 ms"
    assert found.definition.layer == "next"
    assert len(await control.experiments.status()) == 1
    with pytest.raises(Invalid):
        await control.experiments.preview("experiment: {}")


async def test_what_would_be_forgotten_before_the_end_is_warned_of(control: Control) -> None:
    text = definition_text().replace("duration: 2d", "duration: 34d")
    started = await control.experiments.start(DEPLOYER, text)
    assert any("calls_retention_days" in line for line in started.warnings)
