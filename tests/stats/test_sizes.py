import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.stats.checks import BadSample
from tidegate.stats.sizes import (
    days_for,
    minimum_detectable_effect,
    minimum_detectable_mean_effect,
    n_for_difference,
    n_for_means,
    n_for_noninferiority,
    n_for_noninferiority_of_means,
    n_for_noninferiority_ratio,
    n_for_precision,
    n_for_z_test,
    power_of_difference,
    power_of_means,
    power_of_z_test,
)

ORACLE: dict[str, Any] = json.loads((Path(__file__).parent / "oracles" / "sizes.json").read_text())["statsmodels"]
SIDES = ("two-sided", "greater", "less")
CLOSE: dict[str, Any] = {"rtol": 1e-6, "atol": 1e-12}


def columns(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def rows(table: str, *, having: str, side: str | None = None) -> dict[str, Any]:
    return columns(
        [row for row in ORACLE[table] if row.get(having) is not None and side in (None, row.get("alternative"))]
    )


# ------------------------------------------------------------------------------------------------- said figures


def test_one_rate_within_a_point_needs_3458_units_and_not_3457():
    assert n_for_precision(0.9, 0.01) == 3458


def test_a_comparison_needs_14745_an_arm_where_3457_would_find_it_in_27_percent():
    assert n_for_difference(0.9, 0.89) == 14745
    assert power_of_difference(0.9, 0.89, 3457) == pytest.approx(0.27, abs=0.005)
    assert power_of_difference(0.9, 0.89, [14744, 14745]) == pytest.approx(0.8, abs=1e-4)


def test_the_pooled_z_test_needs_nearly_the_same():
    assert n_for_z_test(0.9, 0.89) == 14751
    assert np.all((power_of_z_test(0.9, 0.89, [14750, 14751]) >= 0.8) == [False, True])


def test_the_power_that_is_promised_is_had_by_simulated_tests():
    random = np.random.default_rng(4)
    n = int(n_for_z_test(0.1, 0.13))
    control, treatment = (random.binomial(n, rate, 20_000) / n for rate in (0.1, 0.13))
    pooled = (control + treatment) / 2
    found = np.abs(treatment - control) > 1.959964 * np.sqrt(pooled * (1 - pooled) * 2 / n)
    assert found.mean() == pytest.approx(0.8, abs=0.012)


def test_days_are_whole_and_count_only_the_traffic_that_takes_part():
    assert days_for(29_490, 1_000) == 30
    assert days_for(29_490, 1_000, 0.5) == 59
    assert days_for(3_000, 1_000) == 3
    assert np.all(days_for([1, 10**12], [10**9, 1]) == [1, 10**12])


# ---------------------------------------------------------------------------------------------------- statsmodels


@pytest.mark.parametrize("side", SIDES)
def test_powers_of_rates_are_those_of_statsmodels(side: str):
    for table, power in (("arcsine", power_of_difference), ("pooled", power_of_z_test)):
        seen = rows(table, having="power", side=side)
        found = power(seen["p_c"], seen["p_t"], seen["n_c"], alpha=seen["alpha"], ratio=seen["ratio"], alternative=side)
        np.testing.assert_allclose(found, seen["power"], **CLOSE)


@pytest.mark.parametrize("side", SIDES)
def test_powers_of_means_are_those_of_statsmodels(side: str):
    seen = rows("means", having="power", side=side)
    found = power_of_means(
        7 * seen["difference"], 7, seen["n_c"], alpha=seen["alpha"], ratio=seen["ratio"], alternative=side
    )
    np.testing.assert_allclose(found, seen["power"], **CLOSE)


def test_sizes_are_those_of_statsmodels_rounded_up():
    seen = rows("precision", having="n")
    found = [
        n_for_precision(p, margin, level=float(level))
        for p, margin, level in zip(seen["p"], seen["margin"], seen["level"], strict=True)
    ]
    np.testing.assert_array_equal(found, np.ceil(seen["n"]))
    seen = rows("n", having="difference")
    plan = {name: seen[name] for name in ("power", "alpha", "ratio")}
    np.testing.assert_array_equal(n_for_difference(seen["p_c"], seen["p_t"], **plan), np.ceil(seen["difference"]))
    np.testing.assert_array_equal(
        n_for_noninferiority(seen["p_c"], seen["p_t"], 0.1, **plan), np.ceil(seen["noninferior"])
    )


@pytest.mark.parametrize(("name", "side"), [("means", "two-sided"), ("one_sided", "greater")])
def test_sizes_for_means_are_those_of_statsmodels_rounded_up(name: str, side: str):
    seen = rows("n", having=name)
    plan = {given: seen[given] for given in ("power", "alpha", "ratio")}
    np.testing.assert_array_equal(n_for_means(seen["d"], 1, alternative=side, **plan), np.ceil(seen[name]))


# ------------------------------------------------------------------------------------------------------ properties

inner = st.floats(0.001, 0.999)
powers = st.floats(0.3, 0.99)
alphas = st.floats(0.0001, 0.2)
ratios = st.floats(0.1, 10)


@given(inner, inner, powers, alphas, ratios)
def test_a_size_is_the_least_that_has_the_power(p_c: float, p_t: float, power: float, alpha: float, ratio: float):
    if abs(p_c - p_t) < 1e-4:
        return
    plan: dict[str, Any] = {"alpha": alpha, "ratio": ratio}
    for size, reached in ((n_for_difference, power_of_difference), (n_for_z_test, power_of_z_test)):
        n = size(p_c, p_t, power=power, **plan)
        assert reached(p_c, p_t, n, **plan) >= power * (1 - 1e-9)
        if n > 1:
            assert reached(p_c, p_t, n - 1, **plan) < power * (1 + 1e-9)


@given(st.floats(0.01, 5), st.floats(0.1, 10), powers, alphas, st.floats(0.5, 3))
def test_a_size_for_means_is_the_least_that_has_the_power(
    difference: float, sd: float, power: float, alpha: float, ratio: float
):
    plan: dict[str, Any] = {"alpha": alpha, "ratio": ratio}
    n = n_for_means(difference, sd, power=power, **plan)
    assert power_of_means(difference, sd, n, **plan) >= power * (1 - 1e-9)
    if n > 3:
        assert power_of_means(difference, sd, n - 1, **plan) < power * (1 + 1e-9)


@given(inner, inner, st.integers(1, 10**12), alphas, ratios)
def test_power_is_symmetric_in_the_arms_and_in_success_and_failure(
    p_c: float, p_t: float, n: int, alpha: float, ratio: float
):
    for power in (power_of_difference, power_of_z_test):
        found = power(p_c, p_t, n, alpha=alpha, ratio=ratio)
        assert 0 <= found <= 1
        assert power(1 - p_c, 1 - p_t, n, alpha=alpha, ratio=ratio) == pytest.approx(float(found), rel=1e-6, abs=1e-9)
        exchanged = power(p_t, p_c, n * ratio, alpha=alpha, ratio=1 / ratio)
        assert exchanged == pytest.approx(float(found), rel=1e-6, abs=1e-9)


@given(st.floats(0.02, 0.98), st.integers(2000, 10**12), powers, alphas, ratios)
def test_the_minimum_effect_is_what_has_just_the_power(p_c: float, n: int, power: float, alpha: float, ratio: float):
    plan: dict[str, Any] = {"alpha": alpha, "ratio": ratio}
    found = minimum_detectable_effect(p_c, n, power=power, **plan)
    for change in (found.down, found.up):
        if not np.isnan(change) and abs(change) > 1e-6:
            assert power_of_difference(p_c, p_c + change, n, **plan) == pytest.approx(power, rel=1e-6)


@given(st.integers(3, 10**12), powers, alphas, st.sampled_from(SIDES))
def test_the_minimum_effect_of_means_is_what_has_just_the_power(n: int, power: float, alpha: float, side: str):
    change = minimum_detectable_mean_effect(3.0, n, power=power, alpha=alpha, alternative=side)
    towards = -change if side == "less" else change
    assert power_of_means(towards, 3.0, n, alpha=alpha, alternative=side) == pytest.approx(power, rel=1e-8)


# --------------------------------------------------------------------------------------------------------- extremes


@given(st.floats(0.02, 0.4), st.floats(0.005, 0.2), st.floats(1.1, 3), powers, ratios)
def test_a_wider_margin_never_needs_more_units(rate: float, margin: float, limit: float, power: float, ratio: float):
    plan: dict[str, Any] = {"power": power, "ratio": ratio}
    for sizes in (
        n_for_precision(rate, [margin, margin * 1.1]),
        n_for_noninferiority(rate, rate, [margin, margin * 1.1], **plan),
        n_for_noninferiority_ratio(rate, rate, [limit, limit * 1.1], **plan),
        n_for_noninferiority_of_means(0.0, [margin, margin * 1.1], 1.0, **plan),
    ):
        assert sizes[1] <= sizes[0]
    better = n_for_noninferiority(rate, [rate, rate * 1.01], margin, **plan)
    assert better[1] <= better[0] * 1.02 + 1, "a better treatment varies more, by at most its own share"


@given(st.integers(1, 10**9), st.floats(0.1, 1e6), st.floats(0.01, 1))
def test_the_days_are_the_least_in_which_the_units_come(n: int, a_day: float, share: float):
    days = float(days_for(n, a_day, share))
    assert days == int(days) >= 1
    assert days * a_day * share >= n * (1 - 1e-9)
    assert (days - 1) * a_day * share < n


def test_a_test_of_equal_rates_finds_them_unequal_in_alpha_of_cases():
    assert power_of_difference(0.3, 0.3, 10**12) == pytest.approx(0.05)
    assert power_of_z_test(0.3, 0.3, 10) == pytest.approx(0.05)
    assert power_of_means(0, 1, 10) == pytest.approx(0.05)
    assert power_of_z_test(0, 0, 10) == 0, "where nothing ever happens nothing is found"


def test_what_cannot_be_detected_is_not_a_number():
    found = minimum_detectable_effect([0.0, 1.0, 0.5], [100, 100, 2])
    assert np.all(np.isnan(found.down) == [True, False, True])
    assert np.all(np.isnan(found.up) == [False, True, True])
    assert np.isnan(minimum_detectable_effect(0.5, 1000, alternative="greater").down)


def test_all_that_is_asked_broadcasts():
    assert n_for_difference(0.9, [0.8, 0.85, 0.89], power=[[0.8], [0.9]]).shape == (2, 3)
    assert n_for_means([0.1, 0.2], 1, ratio=[[1], [2], [3]]).shape == (3, 2)
    assert minimum_detectable_effect([0.1, 0.2], [[100], [1000]]).up.shape == (2, 2)
    assert float(n_for_means(1e-6, 1)) == pytest.approx(2 * 2.80158521**2 * 1e12, rel=1e-5)


# -------------------------------------------------------------------------------------------------- non-inferiority


def test_not_being_worse_is_shown_by_as_many_units_as_simulated_tests_need():
    random = np.random.default_rng(5)
    n = int(n_for_noninferiority(0.9, 0.9, 0.03))
    control, treatment = (random.binomial(n, 0.9, 20_000) / n for _ in range(2))
    error = np.sqrt((control * (1 - control) + treatment * (1 - treatment)) / n)
    assert ((treatment - control + 0.03) / error > 1.644854).mean() == pytest.approx(0.8, abs=0.012)


def test_errors_below_one_and_a_half_times_are_shown_by_as_many_units_as_simulated_tests_need():
    random = np.random.default_rng(6)
    n = int(n_for_noninferiority_ratio(0.02, 0.02, 1.5))
    control, treatment = (random.binomial(n, 0.02, 20_000) for _ in range(2))
    error = np.sqrt(1 / control + 1 / treatment - 2 / n)
    assert ((np.log(1.5) - np.log(treatment / control)) / error > 1.644854).mean() == pytest.approx(0.8, abs=0.02)


def test_a_mean_that_is_not_lower_is_a_one_sided_difference_of_what_is_left():
    assert n_for_noninferiority_of_means(0, 0.5, 1) == n_for_means(0.5, 1, alternative="greater") == 51
    assert n_for_noninferiority_of_means(-0.2, 0.5, 1) > 51 > n_for_noninferiority_of_means(0.2, 0.5, 1)


# ----------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        (lambda: n_for_precision(1.0, 0.01), "p must"),
        (lambda: n_for_precision(0.9, 0.0), "margin"),
        (lambda: n_for_precision(0.9, 0.01, level=95), "level"),
        (lambda: n_for_difference(0.9, 0.9), "differ"),
        (lambda: n_for_difference(0.9, 1.1), "p_t"),
        (lambda: n_for_difference(0.9, 0.8, alternative="greater"), "greater"),
        (lambda: n_for_difference(0.9, 0.8, alternative="bigger"), "alternative"),
        (lambda: n_for_difference(0.9, 0.8, power=0.05), "power"),
        (lambda: n_for_difference(0.9, 0.8, ratio=0), "ratio"),
        (lambda: n_for_difference(0.9, float("nan")), "p_t"),
        (lambda: n_for_means(0.1, 0), "sd"),
        (lambda: n_for_means(0, 1), "differ"),
        (lambda: power_of_means(0.1, 1, 1), "n_c"),
        (lambda: power_of_difference(0.1, 0.2, 0), "n_c"),
        (lambda: power_of_difference(0.1, 0.2, 10, alpha=1), "alpha"),
        (lambda: minimum_detectable_mean_effect(1, 1), "n_c"),
        (lambda: n_for_noninferiority(0.9, 0.8, 0.1), "margin"),
        (lambda: n_for_noninferiority_ratio(0.01, 0.02, 1.5), "limit"),
        (lambda: n_for_noninferiority_of_means(-1, 1, 1), "margin"),
        (lambda: days_for(100, 10, 0), "share"),
        (lambda: days_for(100, 0), "units_per_day"),
    ],
)
def test_what_cannot_be_is_refused_by_name(asked: Any, name: str):
    with pytest.raises(BadSample, match=name):
        asked()
