"""Decision rules: what may be written, what is refused and where, and what is true on a board."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.experiments.model import Definition, Metric, Variant
from tidegate.control.experiments.rules.grammar import BadRule
from tidegate.control.experiments.rules.judging import Board, blind_to, evaluate, named, parse_rule, rule_of
from tidegate.control.gates.model import Drop, Gate, Ratio

METRICS = ("faithfulness", "hallucination_rate", "user_satisfaction", "cost_per_query")
GUARDS = ("error_rate", "cost_per_query")


def definition(rule: str, *, guards: tuple[str, ...] = GUARDS, warns: tuple[str, ...] = ()) -> Definition:
    gates = tuple(
        Gate(
            metric=name,
            rule=Ratio(1.5) if name == "error_rate" else Drop(0.1),
            shape="rate" if name == "error_rate" else "mean",
            better="lower",
            share=1 / len(guards),
            block=name not in warns,
        )
        for name in guards
    )
    return Definition(
        name="tone",
        environment="production",
        subject="prompt:qa",
        variants=(Variant(name="control", weight_bp=5000), Variant(name="treatment", weight_bp=5000)),
        metrics=tuple(Metric(name=n, source="feedback", field=n, shape="mean", better="higher") for n in METRICS),
        primary="faithfulness",
        rule=rule,
        guardrails=gates,
    )


def board(
    wins: str = "", loses: str = "", breached: str = "", holds: str = "", p: dict[str, float] | None = None
) -> Board:
    def flags(names: str, of: tuple[str, ...]) -> dict[str, np.ndarray]:
        return {name: np.asarray([name in names.split()]) for name in of}

    levels = {name: np.asarray([(p or {}).get(name, 1.0)]) for name in METRICS}
    ahead = {name: np.asarray([name not in loses.split()]) for name in METRICS}
    return Board(
        flags(wins, METRICS), flags(loses, METRICS), flags(breached, GUARDS), flags(holds, GUARDS), levels, ahead
    )


def judged(rule: str, on: Board) -> tuple[bool, bool]:
    truth = evaluate(rule_of(definition(rule)), on)
    return bool(truth.now[0]), bool(truth.possible[0])


ATOMS = [
    ("primary wins", board(), (False, True)),
    ("primary wins", board(wins="faithfulness"), (True, True)),
    ("primary wins", board(loses="faithfulness"), (False, False)),
    ("cost_per_query wins", board(wins="faithfulness"), (False, True)),
    ("primary wins and cost_per_query holds", board(wins="faithfulness"), (False, True)),
    ("primary wins and cost_per_query holds", board(wins="faithfulness", holds="cost_per_query"), (True, True)),
    ("primary wins and cost_per_query holds", board(breached="cost_per_query"), (False, False)),
    ("primary wins and user_satisfaction does not lose", board(wins="faithfulness"), (True, True)),
    ("primary wins and user_satisfaction does not lose", board(loses="user_satisfaction"), (False, False)),
    ("primary wins and error_rate does not lose", board(wins="faithfulness", breached="error_rate"), (False, False)),
    ("primary wins and no guardrail loses", board(wins="faithfulness"), (True, True)),
    ("primary wins and no guardrail loses", board(wins="faithfulness", breached="error_rate"), (False, False)),
    ("all guardrails hold", board(holds="error_rate"), (False, True)),
    ("all guardrails hold", board(holds="error_rate cost_per_query"), (True, True)),
    ("all guardrails hold", board(breached="error_rate"), (False, False)),
    ("wins >= 2 of 4", board(wins="faithfulness"), (False, True)),
    ("wins >= 2 of 4", board(wins="faithfulness cost_per_query"), (True, True)),
    ("wins >= 3 of 4", board(loses="faithfulness cost_per_query"), (False, False)),
    ("primary wins or user_satisfaction wins", board(wins="user_satisfaction", loses="faithfulness"), (True, True)),
    ("primary wins or user_satisfaction wins", board(loses="user_satisfaction faithfulness"), (False, False)),
]


@pytest.mark.parametrize(("rule", "on", "expected"), ATOMS)
def test_each_atom_says_what_is_true_and_what_can_be(rule: str, on: Board, expected: tuple[bool, bool]) -> None:
    assert judged(rule, on) == expected


def test_the_sentence_of_the_source_is_a_rule() -> None:
    rule = "treatment must win on >=3 of 4 metrics with p<0.05"
    below = {"faithfulness": 0.01, "user_satisfaction": 0.049, "cost_per_query": 0.04}
    assert judged(rule, board(p=below)) == (True, True)
    assert judged(rule, board(p={**below, "cost_per_query": 0.05})) == (False, True)
    assert judged(rule, board(p=below, loses="cost_per_query")) == (False, True)
    assert parse_rule(rule) == parse_rule("wins >= 3 of 4 at p < 0.05") == parse_rule("WINS ≥ 3 OF 4 with p<0.05")


def test_and_binds_closer_than_or_and_parentheses_win() -> None:
    loose = "faithfulness wins or user_satisfaction wins and cost_per_query wins"
    assert judged(loose, board(wins="faithfulness")) == (True, True)
    tight = "(faithfulness wins or user_satisfaction wins) and cost_per_query wins"
    assert judged(tight, board(wins="faithfulness")) == (False, True)


REFUSED = [
    ("P(best) > 0.95", "rule_posterior", 0, "58 %"),
    ("primary wins and P(best)>0.95", "rule_posterior", 17, "58 %"),
    ("no guardrail loses", "rule_without_win", 0, "wins nothing"),
    ("primary does not lose", "rule_without_win", 0, "wins nothing"),
    ("primary wins or cost_per_query holds", "rule_without_win", 0, "`error_rate`"),
    ("wins >= 3 of 5", "rule_count", 13, "there are 4"),
    ("wins >= 5 of 4", "rule_count", 8, "5 of 4"),
    ("wins >= 0 of 4", "rule_count", 8, "0 of 4"),
    ("faithfullness wins", "metric_not_found", 0, "Did you mean faithfulness"),
    ("primary wins and error holds", "guardrail_not_found", 17, "error_rate"),
    ("primary wins and faithfulness holds", "guardrail_not_found", 17, "no margin"),
    ("primary winz", "bad_rule", 8, "`winz`"),
    ("primary wins and", "bad_rule", 16, "nothing"),
    ("primary wins cost_per_query wins", "bad_rule", 13, "`and` or `or`"),
    ("(primary wins", "bad_rule", 13, "`)`"),
    ("wins >= 3 of 4 at p < 5%", "bad_rule", 23, "0.05"),
    ("wins >= 3 of 4 at p < 5", "bad_rule", 22, "between 0 and 1"),
    ("wins >= three of 4", "bad_rule", 8, "whole number"),
    ("", "bad_rule", 0, "nothing"),
    ("(" * 30 + "primary wins" + ")" * 30, "bad_rule", 21, "parentheses"),
]


@pytest.mark.parametrize(("rule", "code", "at", "said"), REFUSED)
def test_what_is_refused_is_refused_with_its_place_and_a_reason(rule: str, code: str, at: int, said: str) -> None:
    with pytest.raises(BadRule) as caught:
        rule_of(definition(rule))
    assert (caught.value.code, caught.value.at) == (code, at)
    assert said in str(caught.value)


def test_all_guardrails_hold_needs_guardrails() -> None:
    with pytest.raises(BadRule) as caught:
        rule_of(definition("all guardrails hold", guards=()))
    assert caught.value.code == "rule_without_win"
    rule = rule_of(definition("primary wins and no guardrail loses", guards=()))
    won = Board(wins={"faithfulness": np.asarray([True])}, loses={"faithfulness": np.asarray([False])})
    assert bool(evaluate(rule, won).now[0])


def test_a_guardrail_that_only_warns_stops_nothing() -> None:
    rule = rule_of(definition("primary wins and no guardrail loses", warns=("error_rate",)))
    assert bool(evaluate(rule, board(wins="faithfulness", breached="error_rate")).now[0])


def test_the_family_is_what_the_rule_names() -> None:
    for text, family in [
        ("primary wins and no guardrail loses", ("faithfulness",)),
        ("cost_per_query wins and faithfulness wins", ("faithfulness", "cost_per_query")),
        ("wins >= 3 of 4", METRICS),
        ("all guardrails hold", ("faithfulness",)),
    ]:
        assert named(rule_of(definition(text)), definition(text)) == family
        assert named(parse_rule(text), definition(text)) == family


def test_a_rule_that_ships_in_spite_of_a_breach_is_told() -> None:
    for text, blind in [
        ("primary wins", GUARDS),
        ("primary wins and error_rate holds", ("cost_per_query",)),
        ("primary wins and no guardrail loses", ()),
    ]:
        assert blind_to(rule_of(definition(text)), definition(text)) == blind


names = st.sampled_from(
    ("primary wins", "cost_per_query holds", "no guardrail loses", "wins >= 2 of 4", "user_satisfaction does not lose")
)
joins = st.sampled_from(("and", "or"))
rules = st.recursive(
    names, lambda inner: st.builds(lambda left, join, right: f"({left} {join} {right})", inner, joins, inner)
)
some = st.lists(st.sampled_from(METRICS), unique=True).map(" ".join)
some_guards = st.lists(st.sampled_from(GUARDS), unique=True).map(" ".join)


@given(rules, some, some, some_guards)
def test_what_is_true_is_possible_and_more_wins_never_hurt(rule: str, wins: str, loses: str, breached: str) -> None:
    lost = " ".join(name for name in loses.split() if name not in wins.split())
    unbroken = " ".join(name for name in GUARDS if name not in breached.split())
    tree = parse_rule(f"primary wins and ({rule})")
    bound = rule_of(definition(f"primary wins and ({rule})"))
    assert named(tree, definition("primary wins"))
    truth = evaluate(bound, board(wins=wins, loses=lost, breached=breached, holds=unbroken))
    assert bool(truth.possible[0]) or not bool(truth.now[0])
    more = evaluate(bound, board(wins=" ".join(METRICS), breached=breached, holds=unbroken))
    assert bool(more.now[0]) or not bool(truth.now[0])
