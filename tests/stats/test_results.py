"""What goes into a test is checked by name before any formula sees it."""

import numpy as np
import pytest

from tests.stats.classical import agree, numbers
from tidegate.stats.checks import BadSample
from tidegate.stats.results import Proportion, Sample


class TestProportion:
    def test_holds_a_rate(self):
        agree(Proportion([0, 3], 4).rate, [0, 0.75])
        agree(Proportion(10**12 - 1, 10**12).rate, 1 - 1e-12, near=0)

    @pytest.mark.parametrize(
        ("successes", "n", "told"),
        [
            (3, 2, "successes must not be more than n"),
            (-1, 2, "successes must be whole"),
            (0.5, 2, "successes must be whole"),
            (0, 0, "n must be whole numbers of at least 1"),
            (np.nan, 2, "successes holds"),
            (1, np.inf, "n holds"),
            ("many", 2, "successes must be numbers"),
        ],
    )
    def test_what_cannot_be_is_refused(self, successes, n, told):
        with pytest.raises(BadSample, match=told):
            Proportion(successes, n)


class TestSample:
    def test_of_values_along_an_axis(self):
        values = np.array([[1.0, 2, 3], [4, 4, 10]])
        found = Sample.of(values)
        agree(found.mean, [2, 6])
        agree(found.sd, [1, np.sqrt(12)])
        assert found.n == 3
        agree(Sample.of(values, axis=0).mean, [2.5, 3, 6.5])

    @pytest.mark.parametrize("n", [2, 3, 7, 49, 1_000])
    def test_of_one_value_everywhere_has_no_deviation(self, n):
        found = Sample.of(np.full(n, 0.1))
        assert numbers(found.mean, found.sd) == (0.1, 0)

    @pytest.mark.parametrize("values", [[], [1.0], 3.0, [1.0, np.nan], [["a", "b"]]])
    def test_of_what_is_no_sample_is_refused(self, values):
        with pytest.raises(BadSample, match="values"):
            Sample.of(values)

    @pytest.mark.parametrize(
        ("sd", "n", "told"), [(-1, 5, "sd must not be below 0"), (1, 1, "n must"), (1, 2.5, "n must")]
    )
    def test_moments_that_cannot_be_are_refused(self, sd, n, told):
        with pytest.raises(BadSample, match=told):
            Sample(0, sd, n)
