import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.posteriors import LogNormal, effect, probability_best
from tidegate.stats.results import Sample

logs = st.builds(Sample, st.floats(-3, 3), st.floats(0.05, 1.4), st.integers(32, 10_000))


@given(logs, st.floats(-5, 5))
def test_another_unit_scales_the_mean_and_its_interval(seen: Sample, shift: float):
    one, other = LogNormal.of(seen), LogNormal.of(Sample(seen.mean + shift, seen.sd, seen.n))
    np.testing.assert_allclose(other.quantile([0.025, 0.5, 0.9]), np.exp(shift) * one.quantile([0.025, 0.5, 0.9]))
    assert effect(one, other, relative=True).median == pytest.approx(np.exp(shift), rel=1e-9)


@given(logs, st.floats(0.001, 0.999))
def test_a_quantile_leaves_its_level_below(seen: Sample, level: float):
    belief = LogNormal.of(seen)
    place = np.log(belief.quantile(level))[..., None]
    below, above = belief.tails(place)
    assert below[0] == pytest.approx(level, rel=1e-8)
    assert below[0] + above[0] == pytest.approx(1)
    beyond, short = belief.excess(place)
    assert beyond >= 0
    assert short >= 0


@given(logs, logs)
def test_exchanging_two_costs_exchanges_their_chances(first: Sample, second: Sample):
    arms = [LogNormal.of(first), LogNormal.of(second)]
    chances = probability_best(arms)
    np.testing.assert_allclose(probability_best(arms[::-1]), chances[::-1], atol=1e-12)
    np.testing.assert_allclose(probability_best(arms, lowest=True), chances[::-1], atol=1e-12)
