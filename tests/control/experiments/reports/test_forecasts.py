"""What a rule does at a traffic, said before the start."""

import msgspec

from tests.support.analyses import operating, scenario
from tidegate.control.experiments.reports.forecasts import forecast_of


def test_the_answer_says_false_ships_power_and_time() -> None:
    assert forecast_of(operating()).answer == (
        "This rule ships a treatment that changes nothing in 0.8% of experiments and one that is 2 points better in "
        "resolved in 84.3%; to ship it in 80% takes about 10,000 users, 4 days."
    )


def test_a_rule_that_ships_what_does_no_harm_is_told_otherwise() -> None:
    found = msgspec.structs.replace(
        operating(),
        scenarios=(scenario("no difference", "", (0.91, 0.01, 0.08), 0.006, 2.0),),
        false_ship=0.02,
        power=0.91,
        needed_units=None,
        needed_days=None,
        ships_unwon=True,
    )
    assert forecast_of(found).answer == (
        "This rule ships a treatment that is as bad as a guardrail's limit in 2.0% of experiments and one that changes "
        "nothing in 91.0%."
    )


def test_an_underpowered_rule_is_no_good_news() -> None:
    weak = msgspec.structs.replace(operating(), power=0.36)
    assert (forecast_of(operating()).mood, forecast_of(weak).mood) == ("ship", "open")


def test_shares_have_no_more_places_than_the_runs_can_tell() -> None:
    (first, *_) = forecast_of(operating()).sections
    assert first.grids[0].rows[2] == ("harm: error_rate 2 times", "0.00%", "99.70%", "0.30%", "22 hours")
    few = msgspec.structs.replace(
        operating(), scenarios=(msgspec.structs.replace(scenario("harm", "", (0.0, 1.0, 0.0), 0.0, 0.9), runs=200),)
    )
    assert forecast_of(few).sections[0].grids[0].rows[0] == ("harm", "0.0%", "100.0%", "0.0%", "22 hours")
