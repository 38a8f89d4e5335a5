"""An experiment on a terminal: the answer first, 80 columns, bars that lean to the better side, no commands."""

import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.analyses import START_MS, bandit, contrast, empty, kept, operating, shipped, the_definition
from tests.support.anything import anything
from tidegate.control.experiments.model import Analysis, Decision, Experiment, Operating
from tidegate.doors.cli.experimentviews import print_analysis, print_list, print_operating

Printed = Callable[[], str]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    monkeypatch.setenv("COLUMNS", "80")
    return lambda: capsys.readouterr().out


def row_of(text: str, metric: str) -> str:
    return next(line for line in text.splitlines() if re.match(rf"{metric}\s", line))


@pytest.mark.parametrize("make", [shipped, kept, bandit, empty])
def test_the_answer_comes_first_and_all_of_it_fits(make: Callable[[], Analysis], printed: Printed) -> None:
    print_analysis(make())
    lines = printed().splitlines()
    assert lines[0].startswith(("Ship treatment:", "Keep control:", "Not known yet"))
    assert max(map(len, lines)) <= 80


def test_a_metric_is_one_line_with_its_bar(printed: Printed) -> None:
    print_analysis(shipped())
    text = printed()
    assert re.search(r"\+3\.1 points \(\+1\.2 to \+5\.0\) +│ *─+▲─+ +better +0\.012$", row_of(text, "resolved"))
    even = r"0\.97 times \(0\.71 to 1\.33\) +─+│○─+ +not known +0\.62$"
    assert re.search(even, row_of(text, "error_rate"))


def test_better_is_to_the_right_whichever_way_the_metric_points(printed: Printed) -> None:
    cheaper = contrast("cost_per_query", "wins", (-0.0004, -0.0006, -0.0002))
    worse = contrast("error_rate", "loses", (1.83, 1.32, 2.51), scale="ratio")
    print_analysis(msgspec.structs.replace(shipped(), contrasts=(cheaper, worse)))
    text = printed()
    assert re.search(r"│ +─+▲─+", row_of(text, "cost_per_query"))
    assert re.search(r"─+▼─+ +│", row_of(text, "error_rate"))


def test_a_terminal_without_these_letters_gets_plain_ones(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.setattr("rich.console.Console.encoding", "ascii")
    print_analysis(shipped())
    assert re.search(r"\| *-+\^-+ +\|better", row_of(printed(), "resolved"))


def test_a_bandit_says_who_leads(printed: Printed) -> None:
    print_analysis(bandit())
    text = printed()
    assert "warm leads, but the stopping rule does not say yet that it is the best." in text
    assert re.search(r"^warm +60% +66\.0% \(64\.8 to 67\.2\) +97%", text, re.MULTILINE)


def test_a_forecast_says_false_ships_and_power(printed: Printed) -> None:
    print_operating(operating())
    text = printed()
    said = "changes nothing in 0.8% of experiments and one that is 2 points better in resolved in 84.3%; to ship"
    assert said in re.sub(r"\s+", " ", text)
    assert re.search(r"^no difference +0\.8% +41\.0% +58\.2% +less than half do", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


def run(**changes: object) -> Experiment:
    experiment = Experiment(
        experiment_id="exp_01",
        definition=the_definition(name="tone", subject="chat", environment="dev"),
        state="running",
        salt="s",
        from_bp=0,
        to_bp=10_000,
        weights_bp=(5000, 5000),
        actor="ada",
        started_at_ms=START_MS,
    )
    return msgspec.structs.replace(experiment, **changes)


def test_experiments_are_listed_with_their_answers(monkeypatch: pytest.MonkeyPatch, printed: Printed) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    over = run(state="decided", decision=Decision(answer="ship", variant="treatment", why=""))
    print_list([run(), over, run(state="stopped", decision=Decision(answer="keep", variant="control", why=""))])
    lines = [re.sub(r" {2,}", "  ", line.strip()) for line in printed().splitlines()]
    assert lines[0] == "EXPERIMENT  ENV  OF  STATE  SHARES  STARTED  ANSWER"
    assert [line.rpartition("  ")[2] for line in lines[2:5]] == ["-", "ship treatment", "keep"]
    assert lines[2].startswith("tone  dev  chat  running  50/50  ")


def test_no_experiments_is_a_sentence(printed: Printed) -> None:
    print_list([])
    assert printed() == "There are no experiments. Start one with `tidegate experiment start FILE`.\n"


@settings(
    max_examples=25,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(anything(Analysis), anything(Operating), anything(Experiment))
def test_anything_can_be_printed_and_commands_nothing(
    printed: Printed, analysis: Analysis, forecast: Operating, experiment: Experiment
) -> None:
    print_analysis(analysis)
    print_operating(forecast)
    print_list([experiment])
    text = printed()
    assert not re.search(r"(?<![A-Za-z])(nan|None|inf)(?![A-Za-z])", text)
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]
