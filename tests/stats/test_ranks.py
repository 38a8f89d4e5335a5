"""Mann-Whitney agrees with SciPy and statsmodels, and its effect keeps its meaning on every scale."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tests.stats.classical import agree, numbers, rows
from tidegate.stats.checks import BadSample
from tidegate.stats.ranks import mann_whitney, superiority_interval

SIDES = ("two-sided", "greater", "less")

lists = st.lists(st.integers(-5, 5), min_size=1, max_size=12)


class TestMannWhitney:
    @pytest.mark.parametrize("side", SIDES)
    def test_agrees_with_scipy(self, side):
        for row in rows("ranks"):
            c, t = row["control"], row["treatment"]
            found = mann_whitney(c, t, alternative=side)
            plain = mann_whitney(c, t, exact=False, continuity=False, alternative=side)
            agree(found.p_value, row[f"p {side}"])
            agree(plain.p_value, row[f"plain p {side}"])
            agree(found.statistic, row["u"])
            if f"exact p {side}" in row and len({*c, *t}) == len(c) + len(t):
                agree(mann_whitney(c, t, exact=True, alternative=side).p_value, row[f"exact p {side}"])

    @given(lists, lists)
    def test_the_effect_is_the_share_of_pairs(self, c, t):
        pairs = [(a < b) + (a == b) / 2 for a, b in itertools.product(c, t)]
        agree(mann_whitney(c, t).effect, np.mean(pairs), least=1e-12)

    @given(st.integers(1, 5), st.integers(1, 5), st.data())
    def test_exact_is_the_count_of_all_orders(self, n_c, n_t, data):
        order = data.draw(st.permutations(range(n_c + n_t)))
        t = order[n_c:]
        found = mann_whitney(order[:n_c], t, exact=True, alternative="greater")
        # sums of ranks over all ways to draw the treatment
        sums = [sum(each) for each in itertools.combinations(range(n_c + n_t), n_t)]
        agree(found.p_value, np.mean([each >= sum(t) for each in sums]), near=1e-12)

    @given(lists, lists)
    def test_exchanging_the_arms_mirrors_everything(self, c, t):
        for side, mirrored in zip(SIDES, ("two-sided", "less", "greater"), strict=True):
            one, other = mann_whitney(c, t, alternative=side), mann_whitney(t, c, alternative=mirrored)
            agree(one.p_value, other.p_value, near=1e-9)
            agree(one.effect, 1 - other.effect, least=1e-12)
            agree(one.interval.low, 1 - other.interval.high, least=1e-9)

    @given(lists, lists)
    def test_only_the_order_counts(self, c, t):
        plain, bent = mann_whitney(c, t), mann_whitney(np.exp(c), np.exp(t))
        assert numbers(plain.p_value, plain.effect) == numbers(bent.p_value, bent.effect)

    def test_values_that_are_all_alike(self):
        for side in SIDES:
            found = mann_whitney([3, 3, 3], [3, 3], alternative=side)
            assert numbers(found.effect, found.p_value) == (0.5, 1)
        assert numbers(mann_whitney([1], [1]).p_value, mann_whitney([1], [2]).p_value) == (1, 1)

    def test_axes_before_the_last_one_broadcast(self):
        rng = np.random.default_rng(5)
        c, t = rng.normal(size=(3, 1, 7)), rng.normal(size=(2, 30))
        found = mann_whitney(c, t)
        assert found.p_value.shape == found.interval.low.shape == (3, 2)
        agree(found.p_value[2, 1], mann_whitney(c[2, 0], t[1]).p_value)
        agree(found.interval.high[2, 1], mann_whitney(c[2, 0], t[1]).interval.high)

    def test_rejects_no_more_often_than_alpha(self):
        rng = np.random.default_rng(6)
        for shape in ((4_000, 6), (4_000, 40)):
            for draw in (rng.lognormal(size=(2, *shape)), rng.integers(0, 4, (2, *shape)).astype(float)):
                assert np.mean(mann_whitney(draw[0], draw[1]).p_value <= 0.05) < 0.057

    def test_a_hundred_thousand_values(self):
        rng = np.random.default_rng(7)
        found = mann_whitney(rng.normal(size=100_000), rng.normal(size=100_000) + 0.02)
        assert found.p_value < 1e-3
        assert found.interval.low > 0.5

    @pytest.mark.parametrize(
        ("c", "t", "told"),
        [([], [1], "control must hold"), ([1], 2, "treatment must hold"), ([np.nan], [1], "control holds")],
    )
    def test_arms_that_cannot_be_are_refused(self, c, t, told):
        with pytest.raises(BadSample, match=told):
            mann_whitney(c, t)

    def test_exact_with_ties_is_refused(self):
        with pytest.raises(BadSample, match="exact"):
            mann_whitney([1, 2], [2, 3], exact=True)

    def test_arms_that_do_not_broadcast_are_refused(self):
        with pytest.raises(BadSample, match="axes before the last one"):
            mann_whitney(np.ones((2, 3)), np.ones((3, 3)))


class TestSuperiority:
    @pytest.mark.parametrize("level", [0.8, 0.95])
    def test_its_variance_and_df_are_those_of_statsmodels(self, level):
        table = [row for row in rows("ranks") if "munzel" in row]
        assert table
        for row in table:
            theta, variance, df = row["munzel"]
            reach = -special.stdtrit(df, (1 - level) / 2) * np.sqrt(variance) / (theta * (1 - theta))
            found = superiority_interval(row["control"], row["treatment"], level=level)
            agree(numbers(found.low, found.high), special.expit(special.logit(theta) + np.array([-reach, reach])))

    @pytest.mark.parametrize("n", [1, 2, 20])
    def test_arms_that_do_not_overlap_leave_room_below_1(self, n):
        found = superiority_interval(np.arange(n), np.arange(n) + 100)
        assert 0 < found.low < 1
        assert found.high == 1
        more = superiority_interval(np.arange(n + 5), np.arange(n + 5) + 100)
        assert more.low > found.low

    @given(lists, lists, st.sampled_from(SIDES))
    def test_it_holds_the_estimate_and_grows_with_its_level(self, c, t, side):
        effect = mann_whitney(c, t).effect
        narrow = superiority_interval(c, t, alternative=side, level=0.8)
        wide = superiority_interval(c, t, alternative=side, level=0.99)
        assert 0 <= wide.low <= narrow.low <= effect + 1e-9
        assert effect - 1e-9 <= narrow.high <= wide.high <= 1

    @pytest.mark.parametrize("spread", [1.0, 4.0])
    def test_covers_whatever_the_spreads_are(self, spread):
        rng = np.random.default_rng(9)
        control, treatment = rng.normal(0, 1, (4_000, 25)), rng.normal(1, spread, (4_000, 40))
        truth = special.ndtr(1 / np.sqrt(1 + spread**2))
        found = superiority_interval(control, treatment)
        # somewhat above the level for few values: the variance takes the other arm as known only in the limit
        assert 0.94 < np.mean((found.low <= truth) & (truth <= found.high)) < 0.975
