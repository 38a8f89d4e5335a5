"""The plans that hold when nobody wrote one."""

import pytest

from tidegate.control.gates.checks import checked_family
from tidegate.control.rollouts.defaults import model_plan, prompt_plan
from tidegate.control.rollouts.step import shares_at


def test_a_prompt_walks_as_the_source_says():
    plan = prompt_plan(has_staging=True)
    assert [one.name for one in plan.stages] == [
        "offline", "staging", "shadow 1%", "approval", "5%", "25%", "50%", "100%",
    ]  # fmt: skip
    assert [one.hold_s // 60 for one in plan.stages if one.kind == "canary"] == [15, 60, 120, 0]
    assert [one.name for one in prompt_plan(has_staging=False).stages][:2] == ["offline", "shadow 1%"]


def test_a_model_walks_by_copies_and_one_canary():
    assert [one.name for one in model_plan().stages] == ["offline", "shadow 5%", "5%", "100%"]


@pytest.mark.parametrize("scored", [False, True])
def test_all_of_alpha_is_shared_and_all_that_can_be_shown_must_hold_before_the_end(scored):
    for plan in (prompt_plan(has_staging=True, scored=scored), model_plan(scored=scored)):
        for gates in (plan.gates, plan.shadow_gates):
            assert sum(one.share for one in checked_family(gates)) == pytest.approx(1)
        needed = next(one for one in reversed(plan.stages) if one.share_bp < 10_000).needs
        assert ("faithfulness" in needed) == scored
        assert {"error_rate", "cost_per_query", "p95_latency_ms"} <= set(needed)
        assert plan.observe_s == (120 if scored else 0)
        assert (plan.score_percent > 0) == scored


def test_shares_only_grow_and_every_wait_has_an_end():
    for plan in (prompt_plan(has_staging=True), model_plan()):
        served = [shares_at(plan, at)[0] for at in range(len(plan.stages))]
        assert served == sorted(served)
        assert served[-1] == 10_000
        assert all(one.max_hold_s is not None for one in plan.stages[:-1])
