"""The decision and its reasons: what is shipped, what is kept away, and what is still missing."""

import re

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import (
    COST,
    ERRORS,
    GUARDED,
    HOUR,
    SCORE,
    People,
    analysed,
    contrast,
    definition,
    exposures,
    of_people,
)
from tidegate.control.experiments.model import Definition
from tidegate.control.experiments.reports.words import answer
from tidegate.kernel.figures import about_text


def test_a_better_treatment_is_shipped_with_what_it_wins():
    found = of_people(1, gain=0.1)
    assert (found.decision.answer, found.decision.variant) == ("ship", "treatment")
    assert re.match(r"`treatment` is better: score is \S+ points higher \(\S+ to \S+\)", found.decision.why)
    it = contrast(found, "score")
    assert it.state == "wins"
    assert it.low is not None
    assert it.high is not None
    assert it.low < 0.1 < it.high
    assert it.p_adjusted < 0.05
    assert it.relative == pytest.approx(0.2, abs=0.08)
    assert it.best == pytest.approx(1, abs=1e-6)
    assert it.loss == pytest.approx(0, abs=1e-6)


def test_a_treatment_that_breaks_a_guardrail_is_kept_away_and_it_is_said_which():
    found = of_people(2, gain=0.02, errors=(0.02, 0.3))
    assert (found.decision.answer, found.decision.variant) == ("keep", "control")
    assert found.decision.why == "`treatment` breaches error_rate."
    assert found.guardrails["treatment"].answer == "block"
    assert contrast(found, "error_rate").scale == "ratio"
    assert contrast(found, "error_rate").state == "loses"


def test_a_treatment_that_is_worse_is_kept_away():
    found = of_people(3, gain=-0.15)
    assert found.decision.answer == "keep"
    assert re.match(r"`treatment` is worse: score is \S+ points lower \(\S+ to \S+\)", found.decision.why)


def test_a_ratio_that_wins_is_said_in_times_with_its_interval():
    found = of_people(7, definition(ERRORS), errors=(0.3, 0.02))
    assert found.decision.answer == "ship"
    assert re.fullmatch(
        r"`treatment` is better: error_rate is \S+ times control's \(\S+ to \S+\)\.", found.decision.why
    )


@pytest.mark.parametrize("of", [definition(ERRORS), definition(SCORE)], ids=["a ratio", "a score"])
def test_at_the_look_that_decides_reason_and_report_say_the_same_figure(of: Definition):
    people = People(users=1500, more_calls=1.0, errors=(0.3, 0.02), gain=0.2)
    came = exposures(people, np.random.default_rng(8))
    looks = (analysed(of, came, now=hour * HOUR) for hour in range(2, 48))
    first = next(one for one in looks if one.decision.answer == "ship")
    size = first.decision.why.removeprefix("`treatment` is better: ").removesuffix(".")
    assert answer(first) == f"Ship treatment: {size}, nothing got worse."


def test_no_effect_worth_having_keeps_the_control_when_the_plan_is_over():
    primary = msgspec.structs.replace(SCORE, effect=0.1, unit="points")
    of = msgspec.structs.replace(GUARDED, metrics=(primary, COST, ERRORS), duration_s=24 * 3600)
    found = of_people(4, of)
    assert found.decision.answer == "keep"
    assert found.decision.why.startswith("The plan is over, and `treatment` is surely not better by 0.1 points")


def test_while_nothing_is_decided_it_is_said_what_is_missing():
    primary = msgspec.structs.replace(SCORE, effect=0.01)
    found = of_people(5, msgspec.structs.replace(GUARDED, metrics=(primary, COST, ERRORS)))
    assert found.decision.answer == "inconclusive"
    assert found.decision.variant is None
    assert found.decision.more_units is not None
    assert found.decision.about_days is not None
    assert found.units_per_day is not None
    assert found.decision.about_days == pytest.approx(found.decision.more_units / found.units_per_day)
    more = about_text(found.decision.more_units)
    assert f"About {more} more users would tell a true difference of 1 point with 80% power." in found.decision.why


def test_where_few_have_a_value_more_units_must_come():
    primary = msgspec.structs.replace(SCORE, effect=0.01)
    of = msgspec.structs.replace(GUARDED, metrics=(primary, COST, ERRORS))
    all_of_them, some = (of_people(5, of, users=3000, more_calls=0.0, answered=one) for one in (1.0, 0.6))
    assert all_of_them.decision.more_units is not None
    assert some.decision.more_units is not None
    needed = 3000 + all_of_them.decision.more_units
    assert (0.6 * (3000 + some.decision.more_units)) == pytest.approx(needed, rel=0.1)


def test_before_the_smallest_sample_it_is_said_how_many_are_missing():
    of = msgspec.structs.replace(GUARDED, min_samples=2000, metrics=(SCORE, COST, ERRORS))
    found = of_people(6, of, gain=0.2)
    assert found.decision.answer == "inconclusive"
    assert found.decision.why.startswith("Too early: a variant has ")
    fewest = min(arm.judged for arm in found.arms)
    assert found.decision.more_units == pytest.approx(2 * (2000 - fewest), abs=1)
