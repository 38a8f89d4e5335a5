"""Every metric is said in its own unit: percent and points, ms, dollars a query or a user."""

import pytest

from tests.support.analyses import COST, ERRORS, FAITHFULNESS, LATENCY, RESOLVED, the_definition
from tidegate.control.experiments.model import Metric
from tidegate.control.experiments.scales import scale_of
from tidegate.kernel.scales import PERCENT, TIMES, UNKNOWN

DEFINITION = the_definition()


@pytest.mark.parametrize(
    ("metric", "found", "said"),
    [
        (RESOLVED, (0.0312, 0.0118, 0.0503), "+3.1 points (+1.2 to +5.0)"),
        (FAITHFULNESS, (-0.0118, -0.0214, -0.0021), "-1.2 points (-2.1 to -0.2)"),
        (COST, (0.00036, -0.00002, 0.00074), "+$0.0004 a query (-$0.00002 to +$0.0007)"),
        (LATENCY, (41.5, -12.0, 95.0), "+40 ms (-10 to +100)"),
        (RESOLVED, (0.01, -0.03, 0.05), "+1 point (-3 to +5)"),
        (RESOLVED, (None, None, None), UNKNOWN),
        (RESOLVED, (0.03, None, None), "+3.00 points"),
        (RESOLVED, (0.03, 0.01, None), "+3.0 points (+1.0 or more)"),
        (RESOLVED, (0.03, float("-inf"), 0.05), "+3.0 points (+5.0 or less)"),
        (RESOLVED, (float("nan"), 0.01, 0.05), UNKNOWN),
    ],
)
def test_differences_are_said_in_the_unit_of_the_metric(
    metric: Metric, found: tuple[float | None, float | None, float | None], said: str
) -> None:
    assert scale_of(metric, DEFINITION).cell(*found) == said


def test_levels_are_said_to_the_places_that_their_errors_allow() -> None:
    assert scale_of(RESOLVED, DEFINITION).level(0.6187, 0.012) == "61.9%"
    assert scale_of(ERRORS, DEFINITION).level(0.00123, 0.0004) == "0.12%"
    assert scale_of(LATENCY, DEFINITION).level(1180.4, 15.0) == "1,180 ms"
    assert scale_of(COST, DEFINITION).level(0.00412) == "$0.00412 a query"


def test_what_was_chosen_is_said_as_it_was_chosen() -> None:
    assert PERCENT.exact(0.03, apart=True) == "3 points"
    assert PERCENT.exact(0.0125, apart=True) == "1.25 points"
    assert TIMES.exact(1.5) == "1.5 times"
    assert scale_of(LATENCY, DEFINITION).exact(2500.0) == "2,500 ms"


def test_sums_are_of_a_unit_and_means_of_a_query() -> None:
    summed = Metric(
        name="cost", source="call", field="cost_usd", shape="mean", better="lower", per_unit="sum", unit="usd"
    )
    assert scale_of(summed, DEFINITION).level(0.0412, 0.0005) == "$0.0412 a user"
    assert scale_of(summed, the_definition(unit="tag:session")).level(0.0412, 0.0005) == "$0.0412 a session"


def test_a_score_that_leaves_zero_to_one_is_no_share() -> None:
    stars = Metric(name="stars", source="feedback", field="stars", shape="mean", better="higher")
    assert scale_of(stars, DEFINITION, [4.2, 4.3]).cell(0.12, 0.05, 0.19) == "+0.12 (+0.05 to +0.19)"
    assert scale_of(stars, DEFINITION, [0.82, 0.84]).cell(0.02, 0.01, 0.03) == "+2.0 points (+1.0 to +3.0)"
