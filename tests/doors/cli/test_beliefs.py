"""`tidegate stats bayes`: rates and means, from arguments and from files."""

from pathlib import Path

import pytest

from tests.doors.cli.calculators import Calculator, calls

OF = ("--arm", "variant", "--metric", "value")


def test_beliefs_of_rates(stats: Calculator) -> None:
    found = stats.json("bayes", "90/1000", "120/1000")
    control, treatment = found["arms"]
    assert found["best_arm"] == 2
    assert control["probability_best"] + treatment["probability_best"] == pytest.approx(1)
    assert treatment["probability_best"] == pytest.approx(0.986, abs=5e-4)
    assert treatment["expected_loss_rate"] < control["expected_loss_rate"]
    assert control["difference_median"] is None
    assert treatment["difference_low"] < 0.03 < treatment["difference_high"]
    assert stats.json("bayes", "90/1000", "120/1000", "--lowest")["best_arm"] == 1
    assert len(stats.json("bayes", "9/100", "12/100", "15/100")["arms"]) == 3
    said = stats.said("bayes", "90/1000", "120/1000").splitlines()[0]
    assert said == "Arm 2 is the best with a probability of 98.6%; choosing it is expected to cost 0.007 points."


def test_beliefs_of_means(stats: Calculator) -> None:
    found = stats.json("bayes", "10.2/3.1/400", "9.8/2.9/410")
    first, second = found["arms"]
    assert found["best_arm"] == 1
    assert (first["mean"], first["sample_sd"], first["n"]) == (10.2, 3.1, 400)
    assert second["difference_median"] == pytest.approx(-0.4)
    p = stats.json("means", "10.2/3.1/400", "9.8/2.9/410", "--alternative", "less")["p_value"]
    assert second["probability_best"] == pytest.approx(p, rel=0.01), (
        "without a prior the belief is about the one-sided p"
    )
    assert first["mean_low"] == pytest.approx(10.2 - 1.966 * 3.1 / 20, abs=1e-3)
    said = stats.said("bayes", "10.2/3.1/400", "9.8/2.9/410", "--lowest").splitlines()
    assert said[0] == "Arm 2 is the best with a probability of 97.1%; choosing it is expected to cost 0.002407."
    assert any("9.895 to 10.5" in line for line in said)


def test_a_prior_draws_a_mean_towards_itself_and_a_rate_too(stats: Calculator) -> None:
    drawn = stats.json("bayes", "10/3/20", "12/3/20", "--prior", "10/3/60/10")["arms"][1]
    assert drawn["mean"] == pytest.approx((60 * 10 + 20 * 12) / 80)
    assert drawn["sample_mean"] == 12
    assert stats.json("bayes", "0/10", "0/20", "--prior", "9/1")["arms"][0]["rate_mean"] == pytest.approx(9 / 20)


def test_beliefs_of_a_file_are_those_of_its_counts(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = [("new", f"n{i}", i < 24) for i in range(200)]
    rows += [("control", f"c{i}", i < 18) for i in range(200)]
    rows.append(("new", "n200", None))
    file = calls(tmp_path, rows)
    found = stats.json("bayes", "--file", file, *OF)
    assert [(one["name"], one["successes"], one["rows_left_out"]) for one in found["arms"]] == [
        ("control", 18, 0),
        ("new", 24, 1),
    ]
    counted = stats.json("bayes", "18/200", "24/200")["arms"]
    assert [one["probability_best"] for one in found["arms"]] == [one["probability_best"] for one in counted]
    said = stats.said("bayes", "--file", file, *OF)
    assert said.startswith("new is the best with a probability of ")
    assert "MINUS CONTROL" in said
    assert "left out: 1." in said
    turned = stats.json("bayes", "--file", file, *OF, "--control", "new")
    assert turned["best_arm"] == 1


def test_means_of_a_file_and_of_its_units(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = []
    for arm, shift in (("control", 0), ("new", 0.5)):
        rows += [(arm, f"{arm}{user}", user % 5 + shift) for user in range(40) for _ in range(5)]
    of_file = ("bayes", "--file", calls(tmp_path, rows), *OF, "--means")
    by_row, by_unit = stats.json(*of_file)["arms"], stats.json(*of_file, "--unit", "user")["arms"]
    assert by_row[1]["difference_median"] == pytest.approx(by_unit[1]["difference_median"]) == pytest.approx(0.5)
    width = [one[1]["difference_high"] - one[1]["difference_low"] for one in (by_row, by_unit)]
    assert width[1] > 2 * width[0], "five rows of one user tell no more than one"
    assert (by_unit[0]["n"], by_unit[0]["rows"]) == (40, 200)


def test_rates_of_units_are_wider_too(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = []
    for arm, bad in (("control", 4), ("new", 10)):
        rows += [(arm, f"{arm}{user}", int(user < bad)) for user in range(40) for _ in range(5)]
    of_file = ("bayes", "--file", calls(tmp_path, rows), *OF, "--lowest")
    by_row, by_unit = stats.json(*of_file), stats.json(*of_file, "--unit", "user")
    assert by_row["arms"][0]["probability_best"] > 0.999 > by_unit["arms"][0]["probability_best"] > 0.9
    assert by_unit["arms"][1]["rate_mean"] == pytest.approx(0.25)
    assert "points" in by_unit["answer"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("1/2",), "arms must be at least two"),
        ((), "Arms come from arguments or from --file."),
        (("1/2", "1/2/3"), "Rates and means are not compared"),
        (("1/2", "3/2"), "'3/2': successes must not be more than n."),
        (("1/2", "1/2", "--prior", "0/1"), "alpha must be at least"),
        (("1/2/3", "1/2/3", "--prior", "1/1"), "'1/1' has 2 numbers, not 4."),
        (("1/2", "1/2", "--level", "95"), "level must be between 0 and 1"),
        (("1/2", "1/2", "--means"), "are of a file"),
        (("1/2", "--file", "x.csv"), "not from both"),
        (("--file", "x.csv", "--arm", "variant"), "--file needs the columns"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: tuple[str, ...], said: str, stats: Calculator) -> None:
    assert said in stats.refused("bayes", *words)


def test_an_arm_of_one_value_and_a_prior_for_units_are_refused(stats: Calculator, tmp_path: Path) -> None:
    file = calls(tmp_path, [("a", "u1", 1), ("b", "u2", 2), ("b", "u3", 4)])
    assert "arm 'a' must have at least 2 values" in stats.refused("bayes", "--file", file, *OF, "--means")
    file = calls(tmp_path, [("a", f"a{i}", i) for i in range(3)] + [("b", f"b{i}", i) for i in range(3)])
    words = ("--file", file, *OF, "--means", "--unit", "user", "--prior", "1/1/1/1")
    assert "--prior and --unit do not go together." in stats.refused("bayes", *words)
