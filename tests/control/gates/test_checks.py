"""What is no gate is refused by name, with the way to mend it."""

import math

import msgspec
import pytest

from tidegate.control.gates.checks import BadGate, checked, checked_family
from tidegate.control.gates.judge import judge, verdict
from tidegate.control.gates.model import Absolute, Drop, Gate, Ratio
from tidegate.kernel.errors import Invalid
from tidegate.stats.sequential.stratified import Moments

GATE = Gate(metric="cost_usd", rule=Ratio(1.2), shape="mean", better="lower", share=0.5)
NOTHING = Moments([0.0], [0.0], [0.0])


@pytest.mark.parametrize("rule", [1.5, 0.03, "1.5x", None])
def test_a_number_without_its_kind_is_refused_with_the_ways_to_say_it(rule):
    with pytest.raises(BadGate, match="a ratio, a difference or a bound") as caught:
        checked(msgspec.structs.replace(GATE, rule=rule))
    assert isinstance(caught.value, Invalid)
    assert caught.value.code == "bad_gate"
    assert "Ratio(1.2)" in caught.value.mend
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({**msgspec.to_builtins(GATE), "rule": rule}, Gate)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"rule": Ratio(1.0)}, "less is better"),
        ({"rule": Ratio(0.8)}, "less is better"),
        ({"rule": Ratio(math.inf)}, "less is better"),
        ({"rule": Ratio(math.nan)}, "less is better"),
        ({"rule": Ratio(1.2), "better": "higher"}, "more is better"),
        ({"rule": Ratio(0.0), "better": "higher"}, "more is better"),
        ({"rule": Drop(0.0)}, "drop"),
        ({"rule": Drop(-0.03)}, "drop"),
        ({"rule": Drop(math.nan)}, "drop"),
        ({"rule": Drop(1.0), "shape": "rate"}, "drop"),
        ({"rule": Absolute(math.inf)}, "bound"),
        ({"rule": Absolute(5.0), "shape": "rate"}, "bound"),
        ({"rule": Absolute(0.0), "shape": "rate"}, "bound"),
        ({"share": 0.0}, "share"),
        ({"share": 1.5}, "share"),
        ({"share": math.nan}, "share"),
        ({"require_effect": -0.1}, "require_effect"),
        ({"require_effect": 1.1}, "require_effect"),
        ({"burn_in": 1}, "burn_in"),
        ({"sd": 0.0}, "sd"),
        ({"sd": math.nan}, "sd"),
    ],
)
def test_a_gate_that_could_tell_nothing_is_refused_where_it_is_checked_and_where_it_is_judged(changes, what):
    bad = msgspec.structs.replace(GATE, **changes)
    for call in (
        lambda: checked(bad),
        lambda: judge(bad, NOTHING, NOTHING, alpha=0.05),
        lambda: verdict([bad], {}, alpha=0.05),
    ):
        with pytest.raises(BadGate, match=what) as caught:
            call()
        assert caught.value.mend
        assert "cost_usd" in caught.value.message


def test_good_gates_stay_as_they_are():
    gates = (
        GATE,
        msgspec.structs.replace(GATE, rule=Drop(2.0)),
        Gate(metric="solved", rule=Ratio(0.9), shape="rate", better="higher", share=0.0),
    )
    assert checked_family(gates[:2]) == gates[:2]
    with pytest.raises(BadGate, match="solved"):
        checked_family(gates)


def test_shares_that_sum_to_more_than_alpha_are_refused_and_thirds_are_not():
    thirds = [msgspec.structs.replace(GATE, metric=name, share=1 / 3) for name in ("a", "b", "c")]
    assert len(checked_family(thirds)) == 3
    with pytest.raises(BadGate, match=r"sum to 1\.333") as caught:
        checked_family([*thirds, msgspec.structs.replace(GATE, metric="d", share=1 / 3)])
    assert "1/4" in caught.value.mend


def test_the_same_gate_twice_is_refused():
    with pytest.raises(BadGate, match="twice"):
        checked_family([GATE, GATE])
