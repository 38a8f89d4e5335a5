"""The rules of a gate: the defaults, what a prompt's `gates:` mean, and what is refused."""

import pytest

from tests.support.evalruns import EXACT, FAITHFULNESS
from tidegate.control.evals.comparing.bounds import DEFAULTS, bounds_of, with_defaults
from tidegate.control.evals.model import Bound
from tidegate.control.prompts.shape import GateBlock
from tidegate.kernel.errors import Invalid, NotFound

USES = (EXACT, FAITHFULNESS)


def only(name, **limits):
    (found,) = bounds_of({name: GateBlock(**limits)}, USES)
    return found


def test_the_gates_of_the_documented_file_are_the_defaults():
    gates = {
        "faithfulness_drop": GateBlock(max=0.03),
        "error_rate": GateBlock(max=0.01),
        "cost_ratio": GateBlock(max=1.2, block=False),
        "p99_ratio": GateBlock(max=2.0),
    }
    assert all(one in DEFAULTS for one in bounds_of(gates, USES))


@pytest.mark.parametrize(
    ("name", "limits", "metric", "kind", "statistic", "better"),
    [
        ("pass_rate", {"min": 0.9}, "pass_rate", "least", "mean", "higher"),
        ("pass_rate_drop", {"max": 0.02}, "pass_rate", "drop", "mean", "higher"),
        ("faithfulness_score", {"min": 0.8}, "faithfulness", "least", "mean", "higher"),
        ("exact_pass_rate", {"min": 0.8}, "exact.pass", "least", "mean", "higher"),
        ("p95_ms", {"max": 900}, "latency_ms", "most", "p95", "lower"),
        ("latency_ms", {"max": 900}, "latency_ms", "most", "mean", "lower"),
        ("cost_usd", {"max": 0.01}, "cost_usd", "most", "mean", "lower"),
        ("output_tokens", {"max": 400}, "output_tokens", "most", "mean", "lower"),
        ("faithfulness_ratio", {"min": 0.95}, "faithfulness", "ratio", "mean", "higher"),
        ("error_ratio", {"max": 1.5}, "error_rate", "ratio", "mean", "lower"),
    ],
)
def test_a_name_says_what_is_bounded(name, limits, metric, kind, statistic, better):
    found = only(name, **limits)
    assert (found.metric, found.kind, found.statistic, found.better) == (metric, kind, statistic, better)


def test_both_sides_are_two_rules():
    found = bounds_of({"output_tokens": GateBlock(min=5, max=400)}, USES)
    assert [(one.kind, one.margin) for one in found] == [("most", 400), ("least", 5)]


@pytest.mark.parametrize(
    ("name", "limits", "code"),
    [
        ("speed", {"max": 1}, "gate_without_unit"),
        ("error_rate", {}, "gate_without_bound"),
        ("faithfulness_drop", {"min": 0.03}, "gate_side"),
        ("cost_ratio", {"min": 0.5}, "gate_side"),
        ("faithfulness_ratio", {"max": 1.5}, "gate_side"),
        ("faithfulness_drop", {"max": 0.0}, "gate_margin"),
        ("cost_ratio", {"max": 0.9}, "gate_margin"),
        ("faithfulness_ratio", {"min": 1.1}, "gate_margin"),
        ("p99_drop", {"max": 10}, "gate_margin"),
        ("error_rate", {"max": float("nan")}, "gate_margin"),
    ],
)
def test_what_cannot_be_is_refused(name, limits, code):
    with pytest.raises(Invalid) as caught:
        only(name, **limits)
    assert caught.value.code == code
    assert name in str(caught.value)


def test_a_metric_that_nobody_measures_is_named_with_its_neighbours():
    with pytest.raises(NotFound, match="faithfulness") as caught:
        only("faithfulnes_drop", max=0.03)
    assert caught.value.code == "gate_metric_unknown"


def test_a_rule_of_ones_own_takes_the_place_of_its_default():
    mine = Bound(metric="error_rate", kind="most", margin=0.05, better="lower")
    found = with_defaults([mine], min_pass_rate=0.8)
    assert len(found) == len(DEFAULTS)
    assert mine in found
    assert next(one.margin for one in found if (one.metric, one.kind) == ("pass_rate", "least")) == 0.8
