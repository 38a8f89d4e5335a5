"""`tidegate stats`: the figures of the documents, rows from files, and what is refused by name."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doors.cli.calculators import Calculator, calls


def test_two_rates_answer_in_a_sentence_before_the_evidence(stats: Calculator) -> None:
    first, *rest = stats.said("proportions", "90/1000", "120/1000").splitlines()
    assert first == "The second is higher by 3.0 points (0.31 to 5.7); p = 0.029: below 0.05, so hardly by chance."
    assert any("treatment" in line and "120/1,000" in line and "12.0%" in line for line in rest)
    assert any("95% INTERVAL" in line for line in rest)


@pytest.mark.parametrize(("options", "p"), [((), 0.0496), (("--unpooled",), 0.0494)])
def test_the_p_values_are_those_of_the_document(options: tuple[str, ...], p: float, stats: Calculator) -> None:
    found = stats.json("proportions", "120/1000", "150/1000", *options)
    assert found["p_value"] == pytest.approx(p, abs=5e-5)
    assert found["differs"]
    assert found["difference"] == pytest.approx(0.03)


def test_alpha_decides_and_sets_the_level(stats: Calculator) -> None:
    found = stats.json("proportions", "120/1000", "150/1000", "--alpha", "0.01")
    assert not found["differs"]
    assert found["level"] == pytest.approx(0.99)
    assert found["answer"].startswith("No difference is shown: the second is higher by 3.0 points (")
    one_sided = stats.json("proportions", "120/1000", "150/1000", "--alternative", "greater")
    assert one_sided["p_value"] == pytest.approx(0.0248, abs=5e-5)
    assert one_sided["difference_high"] == 1


def test_fishers_test_decides_where_counts_are_small(stats: Calculator) -> None:
    found = stats.json("proportions", "1/20", "6/20")
    normal, exact = found["tests"]
    assert exact["method"].startswith("Fisher's exact test")
    assert normal["p_value"] < 0.05 < exact["p_value"]
    assert found["p_value"] == exact["p_value"]
    assert not found["differs"]
    assert len(stats.json("proportions", "90/1000", "120/1000")["tests"]) == 1


def test_a_lower_second_arm_is_told_in_its_own_direction(stats: Calculator) -> None:
    said = stats.said("means", "10.2/3.1/400", "9.8/2.9/410").splitlines()[0]
    assert said == (
        "No difference is shown: the second is lower by 0.4 (-0.01425 to 0.8143); p = 0.058, which is not below 0.05."
    )


@pytest.mark.parametrize("words", [("proportions", "10/100", "20/200"), ("means", "1/2/30", "1/3/40")])
def test_equal_arms_show_no_difference_in_either_direction(words: tuple[str, ...], stats: Calculator) -> None:
    said = stats.said(*words).splitlines()[0]
    assert said.startswith("No difference: the second and the control are equal (-")
    assert said.endswith("; p = 1.00.")


def test_sizes_are_those_of_the_documents(stats: Calculator) -> None:
    found = stats.json("sample-size", "--rate", "0.9", "--to", "0.89")
    assert (found["n_control"], found["n_treatment"], found["n_total"]) == (14745, 14745, 29490)
    assert stats.json("sample-size", "--rate", "0.9", "--precision", "0.01")["n"] == 3458
    assert "3,458 units" in stats.said("sample-size", "--rate", "0.9", "--precision", "0.01")
    found = stats.json("sample-size", "--rate", "0.9", "--to", "0.89", "--ratio", "0.25")
    assert found["n_treatment"] == -(-found["n_control"] // 4)
    power = stats.json("power", "--rate", "0.9", "--to", "0.89", "--n", "3457")["power"]
    assert power == pytest.approx(0.27, abs=0.005)
    least = stats.json("mde", "--rate", "0.9", "--n", "14745")
    assert least["down_rate"] == pytest.approx(-0.01, abs=1e-5)
    assert 0 < least["up_rate"] < 0.01


def test_sizes_of_means_agree_with_their_power(stats: Calculator) -> None:
    units = stats.json("sample-size", "--difference", "0.5", "--sd", "3")["n_control"]
    power = ("power", "--difference", "0.5", "--sd", "3", "--n")
    assert stats.json(*power, str(units))["power"] >= 0.8 > stats.json(*power, str(units - 1))["power"]
    assert stats.json("mde", "--sd", "3", "--n", str(units))["difference"] == pytest.approx(0.5, abs=1e-3)


def test_an_effect_that_no_rate_could_have_is_unknown(stats: Calculator) -> None:
    found = stats.json("mde", "--rate", "0.99", "--n", "20")
    assert found["up_rate"] is None
    assert "up" not in found["answer"]


def test_days_are_of_the_units_that_take_part(stats: Calculator) -> None:
    words = ("duration", "--n", "30000", "--units-per-day", "1000", "--share", "0.5")
    assert stats.json(*words)["duration_days"] == 60
    assert stats.said(*words) == "30,000 units take 60 days.\n"


def test_a_split_is_held_against_its_plan(stats: Calculator) -> None:
    fair = stats.json("srm", "5010/4990")
    assert not fair["mismatch"]
    assert fair["chi_square"] == pytest.approx(0.04)
    assert stats.json("srm", "9000/1000", "--weights", "90/10")["p_value"] == 1
    assert stats.said("srm", "5300/4700").startswith("The split is not as planned; p < 0.0001: below 0.001.")


WINDOWS = ("9/950:1/50", "8/750:9/250", "7/750:11/250")


def test_windows_say_whether_one_may_stop(stats: Calculator) -> None:
    found = stats.json("sequential", *WINDOWS)
    assert found["may_stop"]
    assert found["harm"]["shown"]
    assert not found["non_inferiority"]["shown"]
    assert found["harm"]["always_valid_p"] == pytest.approx(1 / found["harm"]["e_value"])
    assert (found["events_control"], found["units_treatment"]) == (24, 550)
    assert found["rate_ratio_low"] < found["rate_ratio"] < found["rate_ratio_high"]
    assert stats.said("sequential", *WINDOWS).startswith("You may stop: the second's rate is above the control's; p = ")
    assert stats.said("sequential", WINDOWS[0]).startswith("Go on: ")


def test_the_absence_of_harm_is_a_test_of_its_own(stats: Calculator) -> None:
    found = stats.json("sequential", *["30/1000:30/1000"] * 10)
    assert found["non_inferiority"]["shown"]
    assert not found["harm"]["shown"]
    assert "below 1.5 times the control's" in found["answer"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_windows_of_a_file_are_those_of_the_arguments(kind: str, stats: Calculator, tmp_path: Path) -> None:
    names = ("events_control", "units_control", "events_treatment", "units_treatment")
    rows = [[int(part) for part in window.replace(":", "/").split("/")] for window in WINDOWS]
    lines = [",".join(names), *(",".join(map(str, row)) for row in rows)]
    if kind == "jsonl":
        lines = [json.dumps(dict(zip(names, row, strict=True))) for row in rows]
    file = tmp_path / f"windows.{kind}"
    file.write_text("\n".join(lines) + "\n")
    assert stats.json("sequential", "--file", str(file)) == stats.json("sequential", *WINDOWS)


OF = ("--arm", "variant", "--metric", "value")


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_rates_of_a_file_are_those_of_its_counts(kind: str, stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = [("new", f"n{i}", i < 24) for i in range(200)]
    rows += [("control", f"c{i}", i < 18) for i in range(200)]
    rows.append(("new", "n200", None))
    found = stats.json("proportions", "--file", calls(tmp_path, rows, kind), *OF)
    assert (found["control"]["name"], found["treatment"]["name"]) == ("control", "new")
    assert found["treatment"]["rows_left_out"] == 1
    counted = stats.json("proportions", "18/200", "24/200")
    assert found["p_value"] == counted["p_value"]
    assert "new is higher by 3.0 points" in found["answer"]
    turned = stats.json("proportions", "--file", calls(tmp_path, rows, kind), *OF, "--control", "new")
    assert turned["difference"] == pytest.approx(-0.03)


def test_means_of_a_file_and_of_its_units(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = []
    for arm, shift in (("control", 0), ("new", 1)):
        rows += [(arm, f"{arm}{user}", user % 5 + shift) for user in range(40) for _ in range(5)]
    file = calls(tmp_path, rows)
    by_row = stats.json("means", "--file", file, *OF)
    by_unit = stats.json("means", "--file", file, *OF, "--unit", "user")
    assert by_row["difference"] == pytest.approx(by_unit["difference"]) == pytest.approx(1)
    assert by_unit["control"]["n"] == 40
    assert by_unit["p_value"] > 1000 * by_row["p_value"]
    assert "200 rows" in stats.said("means", "--file", file, *OF, "--unit", "user")


def test_rates_counted_by_the_unit_are_wider(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = []
    for arm, bad in (("control", 4), ("new", 10)):
        rows += [(arm, f"{arm}{user}", int(user < bad)) for user in range(40) for _ in range(5)]
    file = calls(tmp_path, rows)
    by_unit = stats.json("proportions", "--file", file, *OF, "--unit", "user")
    assert stats.json("proportions", "--file", file, *OF)["differs"]
    assert not by_unit["differs"]
    assert by_unit["treatment"]["rate"] == pytest.approx(0.25)
    assert "25.0%" in stats.said("proportions", "--file", file, *OF, "--unit", "user")


def test_a_split_of_a_file_counts_units(stats: Calculator, tmp_path: Path) -> None:
    rows: list[tuple[str, str, object]] = [("new", f"n{i % 50}", 1) for i in range(400)]
    rows += [("control", f"c{i}", 1) for i in range(50)]
    file = calls(tmp_path, rows)
    assert stats.json("srm", "--file", file, "--arm", "variant")["mismatch"]
    found = stats.json("srm", "--file", file, "--arm", "variant", "--unit", "user")
    assert [(arm["name"], arm["n"]) for arm in found["arms"]] == [("control", 50), ("new", 50)]
    assert not found["mismatch"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("proportions", "90/10", "1/2"), "'90/10': successes must not be more than n."),
        (("proportions", "90", "1/2"), "'90' has 1 number, not 2."),
        (("proportions", "a/10", "1/2"), "'a/10' holds what is no number."),
        (("proportions", "1/2"), "Two arms are compared, the control first; 1 came."),
        (("proportions", "1/2", "1/2", "--alternative", "more"), "alternative must be one of"),
        (("proportions", "1/2", "1/2", "--level", "95"), "level must be between 0 and 1"),
        (("proportions", "1/2", "1/2", "--alpha", "5"), "alpha must be between 0 and 1"),
        (("proportions", "1/2", "1/2", "--arm", "variant"), "are of a file"),
        (("proportions", "--file", "x.csv"), "--file needs the columns"),
        (("means", "1/2", "1/2"), "'1/2' has 2 numbers, not 3."),
        (("means", "1/2/1", "1/2/3"), "'1/2/1': n must be whole numbers of at least 2."),
        (("sample-size", "--rate", "0.9"), "two rates or of two means"),
        (("sample-size", "--precision", "0.01"), "--rate is missing."),
        (("sample-size", "--rate", "0.9", "--to", "0.9"), "differ"),
        (("mde", "--n", "100"), "of a rate or of a mean"),
        (("duration", "--n", "5", "--units-per-day", "0"), "units_per_day must be above 0"),
        (("srm",), "A split comes from"),
        (("srm", "5/5", "--weights", "1/1/1"), "observed and weights"),
        (("sequential",), "Windows come from"),
        (("sequential", "1/2"), "'1/2' is no window."),
        (("sequential", "1/10:11/10"), "'1/10:11/10': events_t must not be more than n_t"),
    ],
)
def test_what_cannot_be_is_refused_by_name(words: tuple[str, ...], said: str, stats: Calculator) -> None:
    assert said in stats.refused(*words)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("calls.csv", "variant,value\na,1\n", "has 1 arm (a), not 2."),
        ("calls.csv", "variant,value\na,1\nb,1\nc,1\n", "has 3 arms (a, b, c), not 2."),
        ("calls.csv", "variant,value\na,1\nb,7\n", "row 2 has '7' as value, which is neither yes nor no."),
        ("calls.csv", "variant,value\na,1\nb\n", "line 3 has not as many cells as the head."),
        ("calls.csv", "variant,score\na,1\nb,1\n", "There is no column named 'value'."),
        ("calls.csv", "variant,value\na,1\nb,\n", "arm 'b' must have at least one value."),
        ("calls.csv", "", "has no rows."),
        ("calls.jsonl", '{"variant": "a", "value": 1}\n{"variant\n', "line 2 is no JSON"),
        ("calls.json", '[{"variant": "a"}]', "is one JSON array."),
    ],
)
def test_a_file_that_does_not_fit_is_named(name: str, text: str, said: str, stats: Calculator, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert said in stats.refused("proportions", "--file", name, *OF)


def test_a_file_that_is_not_there_and_a_unit_in_two_arms(stats: Calculator, tmp_path: Path) -> None:
    assert "There is no file named 'none.csv'." in stats.refused("means", "--file", "none.csv", *OF)
    file = calls(tmp_path, [("a", "u1", 1), ("b", "u1", 2)])
    assert "user 'u1' is in 'a' and in 'b'." in stats.refused("means", "--file", file, *OF, "--unit", "user")


def test_wrong_usage_ends_with_2(stats: Calculator) -> None:
    assert "--n" in stats.refused("power", "--rate", "0.9", "--to", "0.8", code=2)
    assert "--n" in stats.refused("power", "--n", "many", code=2)


def test_help_loads_no_numpy() -> None:
    code = (
        "import sys; from tidegate.doors.cli.main import run; run(['--help']);"
        "print([n for n in ('numpy', 'scipy', 'tidegate.doors.cli.stats') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
