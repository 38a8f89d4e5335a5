"""An experiment from its calls to its decision: what is found, what is said of it, and what is doubted."""

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import (
    COST,
    DAY,
    ERRORS,
    GUARDED,
    HOUR,
    SCORE,
    SLOW,
    START,
    People,
    analysed,
    call,
    contrast,
    definition,
    experiment,
    exposures,
    of_people,
    score,
)
from tidegate.control.experiments.findings.analysis import MOST_LOOKS, MOST_RATIO_LOOKS, analyse
from tidegate.control.experiments.model import Bandit, Cuped, Metric
from tidegate.control.monitoring.exposures import Exposures


def test_arms_tell_what_they_got():
    found = of_people(14, gain=0.1)
    for arm, mean in zip(found.arms, (0.5, 0.6), strict=True):
        assert arm.weight_bp == 5000
        assert arm.exposed == arm.judged == arm.counted["score"]
        assert arm.means["score"] == pytest.approx(mean, abs=0.04)
    assert found.units == sum(arm.judged for arm in found.arms) == 1500
    assert found.days == 2
    assert found.units_per_day == 750


def test_the_way_of_a_contrast_is_told_in_few_looks_that_end_with_the_last():
    of = msgspec.structs.replace(GUARDED, window_s=60, observe_s=0)
    log = exposures(People(users=800, hours=12), np.random.default_rng(15))
    found = analysed(of, log, now=12 * HOUR + 5 * 60_000)
    for name, most in (("score", MOST_LOOKS), ("error_rate", MOST_RATIO_LOOKS)):
        it = contrast(found, name)
        assert 1 < len(it.path) <= most
        assert [one.at_ms for one in it.path] == sorted({one.at_ms for one in it.path})
        assert (it.path[-1].estimate, it.path[-1].low, it.path[-1].high) == (it.estimate, it.low, it.high)
        assert it.path[-1].at_ms == START + 12 * HOUR + 3 * 60_000


def test_a_ratio_without_events_is_unknown():
    found = of_people(16, errors=(0.0, 0.0))
    it = contrast(found, "error_rate")
    assert (it.estimate, it.high, it.p, it.state) == (None, None, 1.0, "open")


def test_belief_is_for_the_better_side():
    found = of_people(17, errors=(0.2, 0.1))
    it = contrast(found, "error_rate")
    assert it.best is not None
    assert it.best > 0.999
    assert it.estimate == pytest.approx(0.5, abs=0.15)
    assert it.relative == pytest.approx((it.estimate or 0) - 1)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_belief_and_loss_of_a_difference_agree_with_draws_of_it(better: str):
    found = of_people(23, definition(msgspec.structs.replace(SCORE, better=better)), gain=0.01)
    it = contrast(found, "score")
    assert it.estimate is not None
    assert it.best is not None
    error = 2 * np.hypot(0.2, 0.1 * 0.8) / np.sqrt(1500)  # the users' own level, and the noise of about 2 calls
    draws = np.random.default_rng(1).normal(it.estimate, error, 200_000)
    gains = draws if better == "higher" else -draws
    assert it.best == pytest.approx((gains > 0).mean(), abs=0.03)
    assert it.loss == pytest.approx(np.maximum(-gains, 0).mean(), rel=0.15)


def test_after_its_end_an_experiment_is_as_it_was():
    log = exposures(People(users=1500), np.random.default_rng(18))
    ended = START + 10 * HOUR
    one, other = (analysed(GUARDED, log, now=now, state="stopped", ended_at_ms=ended) for now in (DAY, 30 * DAY))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert one.at_ms == ended


def test_several_treatments_share_alpha_and_are_told_one_by_one():
    names = ("control", "a", "b")
    of = msgspec.structs.replace(
        GUARDED, variants=tuple(msgspec.structs.replace(GUARDED.variants[0], name=one, weight_bp=3333) for one in names)
    )
    log = exposures(People(users=1500), np.random.default_rng(19))
    third = {"control": "control", "treatment": "a"}
    calls = [
        one._replace(variant="b" if int(one.unit[1:]) % 3 == 0 else third[one.variant], propensity=1 / 3)
        for one in log.calls
    ]
    found = analysed(of, Exposures(calls, log.scores), weights_bp=(3333, 3333, 3334))
    assert set(found.guardrails) == {"a", "b"}
    assert {(one.variant, one.metric) for one in found.contrasts} == {
        (variant, metric) for variant in ("a", "b") for metric in ("score", "cost", "error_rate")
    }
    assert found.guardrails["a"].alpha == 0.025


def test_a_bandit_has_its_report():
    of = msgspec.structs.replace(GUARDED, bandit=Bandit(algorithm="thompson"))
    log = exposures(People(users=500), np.random.default_rng(20))
    found = analyse(experiment(of), log, now_ms=START + 2 * DAY, weights_log=((START, (5000, 5000)),))
    assert found.bandit is not None
    assert found.bandit.weights == ((START, (5000, 5000)),)
    assert analysed(GUARDED, log).bandit is None


def test_cuped_narrows_the_interval_of_the_primary_metric_and_leaves_the_means():
    rng = np.random.default_rng(21)
    levels = rng.standard_normal(3000)
    log = exposures(People(users=3000, noise=0.1, own=0.0), rng, levels=levels)
    before = 0.8 * levels + 0.6 * rng.standard_normal(3000)
    history = Exposures(
        [call(f"h{i}", f"u{i}", at=-HOUR) for i in range(3000)],
        [score(f"h{i}", float(before[i]), -1000) for i in range(3000)],
    )
    of = definition(SCORE, COST, cuped=Cuped(lookback_s=86_400), min_samples=1000)
    plain, adjusted = (analyse(experiment(of), log, now_ms=START + 2 * DAY, history=one) for one in (None, history))
    widths = []
    for found in (plain, adjusted):
        it = contrast(found, "score")
        assert it.low is not None
        assert it.high is not None
        widths.append(it.high - it.low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(1 - 0.8**2), abs=0.07)
    assert plain.arms == adjusted.arms
    assert contrast(plain, "cost") == contrast(adjusted, "cost")


# ------------------------------------------------------------------------------------------ next to nothing


@pytest.mark.parametrize("units", [0, 1, 2, 3])
@pytest.mark.parametrize("variants", [("control",), ("treatment",), ("control", "treatment")])
@pytest.mark.parametrize("now", [0, HOUR, 2 * DAY])
def test_next_to_nothing_never_raises_and_never_decides(units: int, variants: tuple[str, ...], now: int):
    of = msgspec.structs.replace(GUARDED, min_samples=1, metrics=(SCORE, COST, ERRORS, SLOW))
    calls = [call(f"c{i}", f"u{i}", variants[i % len(variants)], i) for i in range(units)]
    found = analysed(of, Exposures(calls, [score(one.call_id, 0.5, 500) for one in calls]), now=now)
    assert found.decision.answer == "inconclusive"
    msgspec.json.encode(found)


@pytest.mark.parametrize("absurd", [1e300, 1e99, -1e99])
def test_an_absurd_score_never_raises(absurd: float):
    log = exposures(People(users=400), np.random.default_rng(25))
    wild = [one._replace(value=absurd) if at == 7 else one for at, one in enumerate(log.scores)]
    found = analysed(GUARDED, Exposures(log.calls, wild))
    assert found.decision.answer == "inconclusive"
    msgspec.json.encode(found)


@pytest.mark.parametrize("metric", [SCORE, COST, ERRORS, SLOW])
def test_a_metric_that_is_always_the_same_never_raises_and_never_decides(metric: Metric):
    of = definition(metric, rule="primary wins", min_samples=1)
    calls = [call(f"c{i}", f"u{i}", ("control", "treatment")[i % 2], i * 60_000) for i in range(600)]
    found = analysed(of, Exposures(calls, [score(f"c{i}", 0.1, i * 60_000 + 5) for i in range(600)]))
    assert found.units == 600
    assert found.decision.answer == "inconclusive"
