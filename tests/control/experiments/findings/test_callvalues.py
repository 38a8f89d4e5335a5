"""What a call shows, and what a unit of its calls: every figure, every ending, every way to sum up."""

import msgspec
import numpy as np
import pytest

from tests.support.experiment_logs import ERRORS, SCORE, SLOW, call, definition, judged, score, values
from tidegate.control.experiments.model import CALL_FIELDS, Metric
from tidegate.live.calls import ENDINGS


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("error", 0.0),
        ("refused", 0.0),
        ("cost_usd", 0.25),
        ("latency_ms", 100.0),
        ("ttft_ms", 50.0),
        ("tpot_ms", 5.0),
        ("input_tokens", 10.0),
        ("output_tokens", 20.0),
    ],
)
def test_every_figure_of_a_call_is_read(field: str, expected: float):
    of = definition(Metric(name="it", source="call", field=field, shape="mean", better="lower"))
    assert values(judged(of, [call("a", "ann", cost_nano_usd=250_000_000)]), "it") == [expected]


def test_the_fields_are_those_that_are_tested():
    assert set(CALL_FIELDS) == {
        "error", "refused", "cost_usd", "latency_ms", "ttft_ms", "tpot_ms", "input_tokens", "output_tokens"
    }  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_error_is_what_the_upstream_or_we_did_to_a_call(ending: str):
    of = definition(ERRORS, msgspec.structs.replace(SLOW, shape="mean", above=None, per_unit="mean"))
    found = judged(of, [call("a", "ann", ending=ending)])
    expected = {"complete": 0.0, "cancelled": np.nan, "refused": np.nan}.get(ending, 1.0)
    assert np.array_equal(values(found, "error_rate"), [expected], equal_nan=True)
    assert np.array_equal(values(found, "slow"), [np.nan if np.isnan(expected) else 100.0], equal_nan=True)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"per_unit": "mean"}, 3.0),
        ({"per_unit": "sum"}, 9.0),
        ({"per_unit": "first"}, 4.0),
        ({"per_unit": "any"}, 5.0),
        ({"per_unit": "any", "above": 4.5}, 1.0),
        ({"per_unit": "any", "above": 5.0}, 0.0),
        ({"per_unit": "mean", "above": 3.5}, 0.0),
        ({"per_unit": "sum", "shape": "rate"}, 1.0),
        ({"quantile": 0.95, "shape": "rate"}, np.nan),
    ],
)
def test_a_unit_has_one_value_of_its_calls(changes: dict[str, object], expected: float):
    of = definition(msgspec.structs.replace(SCORE, **changes))
    calls = [call("a", "ann"), call("b", "ann", at=1), call("c", "ann", at=2), call("d", "ann", at=3)]
    found = judged(of, calls, [score("b", 4.0, 5), score("c", 5.0, 5), score("d", 0.0, 5)])
    assert np.array_equal(values(found, "score"), [expected], equal_nan=True)


@pytest.mark.parametrize(("absurd", "kept"), [(1e300, 0.5), (float("inf"), 0.5), (float("nan"), 0.5), (-1e99, -1e99)])
def test_a_score_with_which_nobody_can_reckon_is_none(absurd: float, kept: float):
    scores = [score("a", 0.5, 5), score("a", absurd, 6)]
    found = judged(definition(SCORE), [call("a", "ann")], scores)
    assert values(found, "score") == [kept]


def test_a_unit_without_a_value_has_none_or_counts_as_nothing():
    calls = [call("a", "ann"), call("b", "bob")]
    scores = [score("a", 0.5, 5)]
    assert judged(definition(SCORE), calls, scores).tables()["score"].n.sum() == 1
    counted = judged(definition(msgspec.structs.replace(SCORE, missing="zero")), calls, scores).tables()["score"]
    assert (counted.n.sum(), counted.mean[0, 1]) == (2, 0.25)
