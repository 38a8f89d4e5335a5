"""`tidegate stats noninferiority`: sizes for the absence of harm, of rates and of means."""

import pytest

from tests.doors.cli.calculators import Calculator
from tidegate.stats import sizes


def test_a_rate_that_is_not_lower_by_a_margin(stats: Calculator) -> None:
    found = stats.json("noninferiority", "--rate", "0.9", "--margin", "0.01")
    assert found["n_control"] == found["n_treatment"] == 11129
    assert stats.said("noninferiority", "--rate", "0.9", "--margin", "0.01").splitlines()[0] == (
        "11,129 control and 11,129 treatment units show that the rate is not lower by 1.0 points, "
        "with a power of 80.0%, when both rates are 90.0%."
    )
    better = stats.json("noninferiority", "--rate", "0.9", "--to", "0.91", "--margin", "0.01")
    assert better["n_control"] < found["n_control"] / 3


def test_rates_of_failures_are_the_mirror(stats: Calculator) -> None:
    mirrored = stats.json("noninferiority", "--rate", "0.1", "--to", "0.09", "--margin", "0.01", "--lowest")
    assert (
        mirrored["n_control"]
        == stats.json("noninferiority", "--rate", "0.9", "--to", "0.91", "--margin", "0.01")["n_control"]
    )
    assert "not higher by 1.0 points" in mirrored["answer"]


def test_a_rate_of_failures_below_so_many_times_the_controls(stats: Calculator) -> None:
    found = stats.json("noninferiority", "--rate", "0.02", "--times", "1.5", "--power", "0.9", "--ratio", "0.5")
    assert found["n_control"] == float(sizes.n_for_noninferiority_ratio(0.02, 0.02, 1.5, power=0.9, ratio=0.5))
    assert found["n_treatment"] == -(-found["n_control"] // 2)
    assert (found["of"], found["lowest"]) == ("rate_ratio", True)
    assert "below 1.5 times the control's" in found["answer"]


def test_a_mean_that_is_not_worse_by_a_margin(stats: Calculator) -> None:
    found = stats.json("noninferiority", "--sd", "3", "--margin", "0.5")
    words = ("power", "--difference", "0.5", "--sd", "3", "--alternative", "greater", "--n")
    assert found["answer"].endswith("when the means are equal.")
    enough, less = (stats.json(*words, str(found["n_control"] - by))["power"] for by in (0, 1))
    assert enough >= 0.8 > less


def test_a_cost_that_is_truly_higher_needs_more_units(stats: Calculator) -> None:
    words = ("noninferiority", "--sd", "3", "--margin", "0.5", "--lowest", "--difference")
    higher, lower = (stats.json(*words, by)["n_control"] for by in ("0.1", "-0.1"))
    assert higher > stats.json(*words, "0")["n_control"] > lower
    assert "the means differ by 0.1" in stats.json(*words, "0.1")["answer"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "of a rate or of a mean, by one margin"),
        (("--rate", "0.9"), "by one margin"),
        (("--rate", "0.9", "--margin", "0.01", "--times", "1.5"), "by one margin"),
        (("--rate", "0.9", "--margin", "0.01", "--sd", "3"), "by one margin"),
        (("--rate", "0.9", "--margin", "0.01", "--difference", "1"), "by one margin"),
        (("--rate", "0.9", "--to", "0.88", "--margin", "0.01"), "margin must reach below"),
        (("--rate", "0.02", "--times", "1"), "limit must be above the ratio"),
        (("--sd", "3", "--margin", "0"), "margin must be above 0"),
        (("--rate", "0.9", "--margin", "0.01", "--power", "80"), "power must be between 0 and 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: tuple[str, ...], said: str, stats: Calculator) -> None:
    assert said in stats.refused("noninferiority", *words)
