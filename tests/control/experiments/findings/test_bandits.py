"""Shares that follow what is learned: who gets more and who keeps a floor, what it saves, and when it may end."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.experiments.findings.bandits import MOST_POINTS, bandit_report, next_weights
from tidegate.control.experiments.findings.outcomes import Outcomes
from tidegate.control.experiments.model import Bandit, BanditReport, Definition, Metric, Variant
from tidegate.kernel.errors import Invalid

STARTED_MS = 1_700_000_000_000
WINDOW_MS = 600_000
FAR_MS = STARTED_MS + 1_000 * WINDOW_MS

SOLVED = Metric(name="solved", source="feedback", field="solved", shape="rate", better="higher")
FAILED = Metric(name="failed", source="feedback", field="failed", shape="rate", better="lower")
SCORE = Metric(name="score", source="feedback", field="score", shape="mean", better="higher", burn_in=20)
COST = Metric(name="cost", source="call", field="cost_usd", shape="mean", better="lower", burn_in=20)


def defined(metric=SOLVED, *, arms=2, weights=None, min_samples=1000, **bandit):
    each = weights or [10_000 // arms] * arms
    return Definition(
        name="tone",
        environment="production",
        subject="prompt:qa",
        variants=tuple(Variant(name=f"v{at}", weight_bp=weight) for at, weight in enumerate(each)),
        metrics=(metric,),
        primary=metric.name,
        rule="primary wins",
        window_s=WINDOW_MS // 1000,
        min_samples=min_samples,
        bandit=Bandit(**({"algorithm": "thompson"} | bandit)),
    )


def outcomes(definition, variant, values, *, propensity=0.5, window=None):
    """Units in their order, one window after the other."""
    variant, values = np.asarray(variant, dtype=np.int64), np.asarray(values, dtype=float)
    window = np.zeros(variant.size, dtype=np.int64) if window is None else np.asarray(window, dtype=np.int64)
    return Outcomes(
        variant=variant,
        window=window,
        at_ms=STARTED_MS + (window + 1) * WINDOW_MS - 1,
        propensity=np.broadcast_to(np.asarray(propensity, dtype=float), variant.shape),
        values={definition.primary: values},
        covariate=None,
        windows=int(window.max(initial=-1)) + 1,
        exposed=tuple(int((variant == at).sum()) for at in range(len(definition.variants))),
        excluded={},
    )


def tallied(definition, *arms):
    """Units by (successes, n) of each variant."""
    variant = np.concatenate([np.full(n, at) for at, (_, n) in enumerate(arms)])
    values = np.concatenate([np.arange(n) < won for won, n in arms])
    return outcomes(definition, variant, values)


def weights_of(definition, found, now_ms=FAR_MS):
    return next_weights(definition, found, now_ms, STARTED_MS)


# ---------------------------------------------------------------------------------------------------- the shares


def test_before_any_outcome_the_shares_are_the_definitions():
    assert weights_of(defined(), outcomes(defined(), [], [])) == (5000, 5000)
    thirds = defined(weights=[2000, 1000, 3000])
    assert weights_of(thirds, outcomes(thirds, [], [])) == (3333, 1667, 5000)


def test_units_that_came_but_were_not_judged_do_not_count():
    unknown = outcomes(defined(), [0, 1, 1, 0], [np.nan] * 4)
    assert weights_of(defined(), unknown) == (5000, 5000)
    later = outcomes(defined(), [0, 1, 1, 0], [0, 1, 1, 0])
    assert weights_of(defined(), later, now_ms=STARTED_MS + WINDOW_MS - 2) == (5000, 5000)
    assert weights_of(defined(), later, now_ms=STARTED_MS + WINDOW_MS)[1] > 5000


@pytest.mark.parametrize(("metric", "better"), [(SOLVED, 1), (FAILED, 0)])
def test_the_variant_that_does_better_gets_more_whichever_way_better_is(metric, better):
    found = weights_of(defined(metric), tallied(defined(metric), (40, 100), (60, 100)))
    assert found[better] == 9000
    assert found[1 - better] == 1000


@pytest.mark.parametrize(("metric", "better"), [(SCORE, 1), (COST, 0)])
def test_means_are_followed_as_rates_are(metric, better):
    random = np.random.default_rng(1)
    variant = np.repeat([0, 1], 200)
    values = random.normal(0.5 + 0.1 * variant, 0.1)
    assert weights_of(defined(metric), outcomes(defined(metric), variant, values))[better] == 9000


def test_the_share_is_the_probability_to_be_best():
    free = defined(floor=0.0)
    # Beta(2, 1) against Beta(1, 2): P(first above second) = 5/6
    assert weights_of(free, tallied(free, (1, 1), (0, 1))) == (8333, 1667)


def test_a_scores_unit_changes_nothing():
    random = np.random.default_rng(2)
    variant, values = np.repeat([0, 1, 2], 30), random.normal(10, 3, 90)
    definition = defined(SCORE, arms=3, floor=0.0)
    one, other = (weights_of(definition, outcomes(definition, variant, values * by)) for by in (1, 1000))
    assert np.abs(np.subtract(one, other)).max() <= 1


def test_values_that_are_all_alike_leave_the_shares_as_they_were():
    definition = defined(SCORE, weights=[7000, 3000])
    assert weights_of(definition, outcomes(definition, [0, 0, 1, 1], [0.8] * 4)) == (7000, 3000)


def test_a_variant_without_outcomes_is_still_tried():
    random = np.random.default_rng(3)
    for metric in (SOLVED, SCORE):
        definition = defined(metric, floor=0.0)
        values = (random.random(300) < 0.5).astype(float)
        found = weights_of(definition, outcomes(definition, np.zeros(300), values))
        assert 2000 < found[1] < 8000


def test_top_two_gives_two_variants_the_same_and_of_three_spares_the_worst():
    two = defined(algorithm="top-two")
    assert weights_of(two, tallied(two, (10, 50), (40, 50))) == (5000, 5000)
    three = defined(algorithm="top-two", arms=3, weights=[3400, 3300, 3300], floor=0.0)
    best, rival, worst = weights_of(three, tallied(three, (80, 100), (72, 100), (30, 100)))
    assert best > 4500
    assert rival > 4500
    assert worst < 10


@given(
    arms=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=2, max_size=5),
    part=st.floats(min_value=0, max_value=0.99),
    algorithm=st.sampled_from(["thompson", "top-two"]),
)
def test_shares_sum_to_all_and_none_is_below_the_floor(arms, part, algorithm):
    floor = part / len(arms)
    definition = defined(arms=len(arms), floor=floor, algorithm=algorithm)
    found = weights_of(definition, tallied(definition, *((min(won, n), n) for won, n in arms)))
    assert sum(found) == 10_000
    if any(n for _, n in arms):
        assert min(found) >= floor * 10_000 - 1e-6
    assert min(found) >= 0


def test_a_starved_variant_gets_its_floor_exactly():
    for floor, share in ((0.1, 1000), (0.05, 500), (0.0333, 333)):
        definition = defined(floor=floor)
        assert weights_of(definition, tallied(definition, (900, 1000), (100, 1000))) == (10_000 - share, share)


@given(
    won=st.lists(st.booleans(), min_size=1, max_size=60),
    unjudged=st.integers(0, 20),
    later_ms=st.integers(0, 10**9),
    memory_s=st.sampled_from([None, 600, 3600]),
)
def test_no_share_moves_without_a_new_outcome(won, unjudged, later_ms, memory_s):
    definition = defined(memory_s=memory_s)
    variant, window = np.arange(len(won)) % 2, np.arange(len(won)) // 10
    before = outcomes(definition, variant, won, window=window)
    now_ms = int(before.at_ms.max()) + 1
    after = outcomes(
        definition,
        [*variant, *[0] * unjudged],
        [*won, *[np.nan] * unjudged],
        window=[*window, *[int(window.max()) + 5] * unjudged],
    )
    assert weights_of(definition, before, now_ms) == weights_of(definition, after, now_ms + later_ms)


def test_with_a_memory_what_is_long_past_is_forgotten():
    variant = np.tile([0, 1], 400)
    window = np.repeat(np.arange(8), 100)
    values = np.where(window < 4, variant == 0, variant == 1)  # the first was better, then the second
    short, whole = defined(memory_s=4 * WINDOW_MS // 1000), defined()
    assert weights_of(short, outcomes(short, variant, values, window=window)) == (1000, 9000)
    assert weights_of(whole, outcomes(whole, variant, values, window=window)) == (5000, 5000)


def test_what_is_no_bandit_is_refused():
    plain = msgspec.structs.replace(defined(), bandit=None)
    with pytest.raises(Invalid, match="no bandit") as caught:
        weights_of(plain, outcomes(plain, [0], [1]))
    assert caught.value.code == "no_bandit"


# ------------------------------------------------------------------------------------------------- what it saves


def run(rates, *, batches, size, delay, seed, look=None):
    """Regret of one run whose rewards come `delay` batches late; `look` is called with the outcomes before each."""
    random = np.random.default_rng(seed)
    definition = defined(arms=len(rates), floor=0.1)
    variant, won, window, chances = (np.zeros(0) for _ in range(4))
    regret = 0.0
    for batch in range(batches):
        known = window < batch - delay
        seen = outcomes(definition, variant[known], won[known], propensity=chances[known], window=window[known])
        if look is not None and batch % 4 == 3:
            look(definition, seen)
        shares = np.array(weights_of(definition, seen)) / 10_000
        chosen = random.choice(len(rates), size, p=shares)
        variant, chances = np.append(variant, chosen), np.append(chances, shares[chosen])
        won = np.append(won, random.random(size) < np.take(rates, chosen))
        window = np.append(window, np.full(size, batch))
        regret += float((max(rates) - np.take(rates, chosen)).sum())
    return regret


def test_thompson_with_a_floor_loses_less_than_half_of_what_equal_shares_lose_though_rewards_come_late():
    found = np.array([run((0.80, 0.85), batches=32, size=250, delay=2, seed=seed) for seed in range(40)])
    equal = 0.05 / 2 * 32 * 250
    saved = 1 - found / equal
    assert saved.mean() - 5 * saved.std(ddof=1) / np.sqrt(saved.size) >= 0.5  # seen: 0.68


def ended(rates, *, batches, seed):
    """Who was declared best first in a run that is looked at every fourth batch; None: nobody."""
    declared = []

    def look(definition, seen):
        found = bandit_report(definition, seen, ())
        if found.may_stop:
            declared.append(found.leader)

    run(rates, batches=batches, size=250, delay=1, seed=seed, look=look)
    return declared[0] if declared else None


def test_the_stop_declares_none_of_two_equal_leaders_and_finds_one_that_is_better():
    alike = [ended((0.80, 0.80, 0.70), batches=16, seed=100 + seed) for seed in range(40)]
    assert sum(one is not None for one in alike) <= 2  # alpha of 40; seen: 0
    assert {ended((0.50, 0.80), batches=12, seed=200 + seed) for seed in range(10)} == {"v1"}


def drifting(definition, seed, gain=0.0):
    """40 windows in which the base rises from 0.2 to 0.8 while the second variant's share grows from 0.1 to 0.9."""
    random = np.random.default_rng(seed)
    window = np.repeat(np.arange(40), 100)
    share, base = np.linspace(0.1, 0.9, 40)[window], np.linspace(0.2, 0.8, 40)[window]
    variant = (random.random(window.size) < share).astype(np.int64)
    value = (random.random(window.size) < base + gain * variant).astype(float)
    chances = np.where(variant == 1, share, 1 - share)
    return outcomes(definition, variant, value, propensity=chances, window=window)


@pytest.mark.parametrize("metric", [SOLVED, SCORE])
def test_a_base_that_drifts_while_the_shares_move_makes_no_best_variant(metric):
    definition = defined(metric)
    alike = [bandit_report(definition, drifting(definition, 300 + seed), ()) for seed in range(20)]
    assert sum(one.may_stop for one in alike) <= 5  # alpha of 20, and 5 standard errors; pooled over time it was all
    for one in alike:
        weighted = one.weighted_means
        assert weighted[0] is not None
        assert weighted[1] is not None
        assert abs(weighted[0][0] - weighted[1][0]) < 0.15  # the plain means are 0.19 apart
    better = [bandit_report(definition, drifting(definition, 400 + seed, gain=0.15), ()) for seed in range(5)]
    assert all(one.may_stop and one.leader == "v1" for one in better)


def test_a_mean_by_propensities_is_not_given_before_there_were_enough_events():
    """Without an event its interval would be a point: at a rate of 1 % it missed the truth in 20 % of bandits."""
    definition = defined()
    for events in (0, 19, 20):
        variant = np.repeat([0, 1], 2000)
        value = np.concatenate([np.arange(2000) < events, np.arange(2000) < 1000])
        found = bandit_report(definition, outcomes(definition, variant, value), ()).weighted_means
        assert (found[0] is None) == (events < 20)
        assert found[1] is not None


def test_a_log_with_a_variant_that_could_not_be_taken_gives_no_mean_by_propensities():
    definition = defined()
    variant = np.tile([0, 1], 500)
    found = bandit_report(
        definition, outcomes(definition, variant, np.arange(1000) % 3 == 0, propensity=1 - variant), ()
    )
    assert found.weighted_means[0] is not None
    assert found.weighted_means[1] is None


# ---------------------------------------------------------------------------------------------------- the report


def greedy(definition, random):
    """Two equal variants; after 20 units nine in ten go to the one that was luckier: their plain means are biased."""
    variant = random.integers(0, 2, 20)
    value = random.normal(0.5, 0.3, 20)
    propensity = np.full(20, 0.5)
    for _ in range(4):
        means = [value[variant == at].mean() if np.any(variant == at) else 0.0 for at in range(2)]
        share = 0.9 if means[1] > means[0] else 0.1
        chosen = (random.random(40) < share).astype(int)
        propensity = np.append(propensity, np.where(chosen == 1, share, 1 - share))
        variant, value = np.append(variant, chosen), np.append(value, random.normal(0.5, 0.3, 40))
    return outcomes(definition, variant, value, propensity=propensity), variant, value


def test_the_mean_by_propensities_is_unbiased_where_the_plain_one_is_not():
    definition, random = defined(msgspec.structs.replace(SCORE, burn_in=2)), np.random.default_rng(5)
    plain, corrected = [], []
    for _ in range(600):
        found, variant, value = greedy(definition, random)
        (mean, low, high), _ = (one or (np.nan,) * 3 for one in bandit_report(definition, found, ()).weighted_means)
        assert low < mean < high
        plain.append(value[variant == 0].mean())
        corrected.append(mean)
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected) - 0.5) < 5 * error
    assert error < 0.008
    assert np.mean(plain) < 0.5 - 5 * np.std(plain) / np.sqrt(len(plain))


def test_a_report_says_where_the_bandit_stands():
    definition = defined(min_samples=200)
    random = np.random.default_rng(6)
    variant, window = random.integers(0, 2, 2000), np.repeat(np.arange(10), 200)
    values = random.random(2000) < np.take([0.5, 0.7], variant)
    log = ((STARTED_MS, (5000, 5000)), (STARTED_MS + WINDOW_MS, (1000, 9000)))
    found = bandit_report(definition, outcomes(definition, variant, values, window=window), log)
    assert found.weights == log
    assert found.leader == "v1"
    assert found.may_stop
    assert found.best[1] > 0.999
    assert sum(found.best) == pytest.approx(1)
    for (mean, low, high), weighted, rate in zip(found.posterior, found.weighted_means, (0.5, 0.7), strict=True):
        assert low < mean < high
        assert mean == pytest.approx(rate, abs=0.08)
        assert weighted is not None
        assert weighted[1] < rate < weighted[2]
    assert found.regret == pytest.approx(0.2 * (variant == 0).sum(), rel=0.3)
    assert [at for at, _ in found.regret_path] == [STARTED_MS + (at + 1) * WINDOW_MS - 1 for at in range(10)]
    totals = [total for _, total in found.regret_path]
    assert totals == sorted(totals)
    assert totals[-1] == found.regret
    assert msgspec.json.decode(msgspec.json.encode(found), type=BanditReport) == found


@pytest.mark.parametrize("metric", [SOLVED, SCORE])
def test_before_any_outcome_a_report_knows_nothing_and_says_so(metric):
    definition = defined(metric)
    for variant, values in (([], []), ([0, 1], [np.nan, np.nan])):
        found = bandit_report(definition, outcomes(definition, variant, values), ())
        assert found.posterior == ()
        assert found.best == ()
        assert found.weighted_means == (None, None)
        assert found.regret is None
        assert found.leader == "v0"
        assert not found.may_stop


@pytest.mark.parametrize("metric", [SOLVED, SCORE])
def test_one_variant_alone_is_never_the_best_of_two(metric):
    definition = defined(metric)
    found = bandit_report(definition, outcomes(definition, np.zeros(500), np.arange(500) % 2), ())
    assert not found.may_stop
    assert found.weighted_means[1] is None
    assert len(found.posterior) == 2


def test_means_may_stop_too_and_lower_may_be_better():
    definition, random = defined(COST), np.random.default_rng(7)
    variant = np.repeat([0, 1], 2000)
    found = bandit_report(definition, outcomes(definition, variant, random.normal(1 + 0.2 * variant, 0.3)), ())
    assert found.leader == "v0"
    assert found.may_stop
    assert found.regret == pytest.approx(0.2 * 2000, rel=0.2)


def test_a_long_path_of_regret_is_thinned_to_what_a_picture_needs():
    definition = defined()
    window = np.arange(3000)
    found = bandit_report(definition, outcomes(definition, window % 2, window % 3 == 0, window=window), ())
    assert len(found.regret_path) <= MOST_POINTS
    assert found.regret_path[-1][0] == STARTED_MS + 3000 * WINDOW_MS - 1
