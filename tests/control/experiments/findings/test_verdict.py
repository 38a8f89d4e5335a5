"""What the rule answers, at which window, and what can never change or bring about an answer."""

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.experiment_logs import COST, ERRORS, SCORE
from tests.support.experiment_worlds import (
    GUARDED,
    WINDOWS,
    Tables,
    hours,
    share,
    worlds,
)
from tidegate.control.experiments.findings.verdict import boards, decided, find, guard_alpha
from tidegate.control.experiments.model import ANSWERS, Variant
from tidegate.stats.sequential.stratified import Moments


def test_what_is_better_is_shipped_and_what_is_worse_is_kept_away():
    rng = np.random.default_rng(1)
    better, worse = worlds(rng, 200, gain=0.08), worlds(rng, 200, gain=-0.08)
    assert share(decided(GUARDED, better, hours()), "ship") > 0.95
    assert share(decided(GUARDED, worse, hours()), "keep") > 0.95


def test_what_is_better_but_breaks_a_guardrail_is_kept_away():
    found = decided(GUARDED, worlds(np.random.default_rng(2), 200, gain=0.02, errors=0.12), hours())
    assert share(found, "keep") > 0.95
    assert np.all(found.variant[found.answer == ANSWERS.index("keep")] == 0)


def test_nothing_is_shipped_before_every_variant_has_its_smallest_sample():
    tables = worlds(np.random.default_rng(3), 100, gain=0.3)
    of = msgspec.structs.replace(GUARDED, min_samples=900)
    found, units = decided(of, tables, hours()), np.cumsum(tables["score"].n, axis=-1)
    assert share(found, "ship") == 1
    assert all((units[run, :, window] >= 900).all() for run, window in enumerate(found.window))
    assert all((units[run, :, window - 1] < 900).any() for run, window in enumerate(found.window))


def test_harm_ends_it_at_any_size():
    of = msgspec.structs.replace(GUARDED, min_samples=10**6)
    found = decided(of, worlds(np.random.default_rng(4), 100, errors=0.5), hours())
    assert share(found, "keep") == 1
    assert found.window.max() < 10


def test_of_several_that_are_true_the_best_is_shipped():
    variants = tuple(Variant(name=one, weight_bp=3000) for one in ("control", "good", "best"))
    of = msgspec.structs.replace(GUARDED, variants=variants, min_samples=500)
    tables = worlds(np.random.default_rng(5), 50, gain=0.1, variants=3)
    tables["score"].mean[:, 2] += 0.2
    found = decided(of, tables, hours())
    assert share(found, "ship") == 1
    assert np.mean(found.variant == 2) > 0.95


def test_when_the_plan_is_over_and_no_effect_worth_having_is_left_the_control_is_kept():
    rng = np.random.default_rng(6)
    primary = msgspec.structs.replace(SCORE, effect=0.1)
    of = msgspec.structs.replace(GUARDED, metrics=(primary, COST, ERRORS), duration_s=24 * 3600)
    found = decided(of, worlds(rng, 200), hours())
    kept = found.answer == ANSWERS.index("keep")
    assert kept.mean() > 0.9
    assert np.median(found.window[kept]) == 23
    unplanned = msgspec.structs.replace(of, metrics=(SCORE, COST, ERRORS))
    assert share(decided(unplanned, worlds(rng, 200), hours()), "inconclusive") > 0.9


def test_the_first_answer_stays():
    tables = worlds(np.random.default_rng(7), 200, gain=0.08)
    whole = decided(GUARDED, tables, hours())
    for part in (12, 24, 36):
        cut = {name: Moments(t.n[..., :part], t.mean[..., :part], t.squares[..., :part]) for name, t in tables.items()}
        found = decided(GUARDED, cut, hours(part))
        given_by_then = (whole.window >= 0) & (whole.window < part)
        assert np.array_equal(found.window, np.where(given_by_then, whole.window, -1))
        assert np.array_equal(found.answer[given_by_then], whole.answer[given_by_then])


@pytest.mark.parametrize("units", [0, 1])
@pytest.mark.parametrize("arms", [(0,), (1,), (0, 1)])
def test_where_there_is_next_to_nothing_nothing_is_decided(units: int, arms: tuple[int, ...]):
    n = np.zeros((2, WINDOWS))
    n[list(arms), 0] = units
    nothing = Moments(n, np.zeros_like(n), np.zeros_like(n))
    of = msgspec.structs.replace(GUARDED, min_samples=1)
    found = decided(of, dict.fromkeys(("score", "cost", "error_rate"), nothing), hours())
    assert (ANSWERS[int(found.answer)], int(found.variant), int(found.window)) == ("inconclusive", -1, -1)


@pytest.mark.parametrize("windows", [0, 1, WINDOWS])
def test_where_everything_is_alike_nothing_is_decided(windows: int):
    alike = Moments(np.full((2, windows), 50.0), np.full((2, windows), 0.25), np.zeros((2, windows)))
    tables = {"score": alike, "cost": alike, "error_rate": Moments(alike.n, 0 * alike.n, alike.squares)}
    found = decided(GUARDED, tables, hours(windows))
    assert (ANSWERS[int(found.answer)], int(found.variant), int(found.window)) == ("inconclusive", -1, -1)


def test_an_empty_control_or_treatment_decides_nothing():
    tables = worlds(np.random.default_rng(8), 20, gain=0.5)
    for arm in (0, 1):
        empty = {}
        for name, table in tables.items():
            n, mean, squares = (np.array(part) for part in (table.n, table.mean, table.squares))
            for part in (n, mean, squares):
                part[:, arm] = 0
            empty[name] = Moments(n, mean, squares)
        assert share(decided(GUARDED, empty, hours()), "inconclusive") == 1


# ------------------------------------------------------------------------------------------ what must not matter


@st.composite
def drawn(draw: st.DrawFn) -> Tables:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return worlds(
        rng,
        8,
        gain=draw(st.sampled_from((-0.1, 0.0, 0.05, 0.1))),
        dearer=draw(st.sampled_from((-0.1, 0.0, 0.1))),
        errors=draw(st.sampled_from((0.0, 0.02, 0.05))),
    )


RULES = (
    "primary wins",
    "primary wins and no guardrail loses",
    "score wins or cost wins",
    "score wins at p < 0.2 and cost does not lose",
    "wins >= 2 of 3 at p < 0.05",
    "score wins and error_rate holds",
)


def at_least_as_harmful(rng: np.random.Generator, tables: Tables, by: float) -> Tables:
    """The same worlds with a treatment that is scored lower, costs more, and fails more."""
    harm = np.array([0.0, 1.0])[None, :, None] * by
    score, cost, errors = (tables[name] for name in ("score", "cost", "error_rate"))
    more = np.minimum(errors.n, np.rint(errors.mean * errors.n) + rng.poisson(harm * 20, errors.n.shape))
    mean = more / np.maximum(errors.n, 1)
    return {
        "score": Moments(score.n, score.mean - harm, score.squares),
        "cost": Moments(cost.n, cost.mean + harm, cost.squares),
        "error_rate": Moments(errors.n, mean, errors.n * mean * (1 - mean)),
    }


@settings(deadline=None, max_examples=60)
@given(drawn(), st.sampled_from(RULES), st.floats(0, 0.3), st.integers(0, 2**32))
def test_more_harm_never_ships(tables: Tables, rule: str, by: float, seed: int):
    metrics = (msgspec.structs.replace(SCORE, effect=0.05, sd=0.3), COST, ERRORS)
    of = msgspec.structs.replace(GUARDED, rule=rule, metrics=metrics)
    harmed = decided(of, at_least_as_harmful(np.random.default_rng(seed), tables, by), hours())
    before = decided(of, tables, hours())
    ship = ANSWERS.index("ship")
    assert np.all(before.answer[harmed.answer == ship] == ship)
    assert np.all(before.window[harmed.answer == ship] <= harmed.window[harmed.answer == ship])


@settings(deadline=None, max_examples=60)
@given(drawn(), st.sampled_from(("primary wins", "primary wins and no guardrail loses", "score wins or cost wins")))
def test_a_metric_that_the_rule_does_not_name_changes_no_answer(tables: Tables, rule: str):
    of = msgspec.structs.replace(GUARDED, rule=rule)
    more = msgspec.structs.replace(of, metrics=(*of.metrics, msgspec.structs.replace(SCORE, name="other")))
    one = decided(of, tables, hours())
    other = decided(more, {**tables, "other": tables["cost"]}, hours())
    for part in ("answer", "variant", "window"):
        assert np.array_equal(getattr(one, part), getattr(other, part))


@settings(deadline=None, max_examples=60)
@given(drawn(), st.permutations(range(8)))
def test_runs_are_judged_each_for_itself(tables: Tables, order: list[int]):
    mixed = {name: Moments(t.n[order], t.mean[order], t.squares[order]) for name, t in tables.items()}
    one, other = decided(GUARDED, tables, hours()), decided(GUARDED, mixed, hours())
    assert np.array_equal(one.answer[order], other.answer)
    assert np.array_equal(one.window[order], other.window)


@settings(deadline=None, max_examples=60)
@given(drawn(), st.sampled_from(("holm", "bonferroni", "benjamini-hochberg", "none")))
def test_what_is_won_lost_breached_or_held_stays_so(tables: Tables, correction: str):
    of = msgspec.structs.replace(GUARDED, rule=RULES[4], correction=correction)
    (board,) = boards(of, tables)
    for states in (board.wins, board.loses, board.breached, board.holds):
        assert states
        for state in states.values():
            assert np.all(np.diff(state.astype(int), axis=-1) >= 0)
    for p in board.p_adjusted.values():
        assert np.all(np.diff(p, axis=-1) <= 0)


def test_what_is_adjusted_is_what_the_rule_names_over_all_treatments():
    of = msgspec.structs.replace(
        GUARDED,
        variants=tuple(Variant(name=one, weight_bp=3000) for one in ("control", "a", "b")),
        correction="bonferroni",
        rule="score wins or cost wins",
    )
    found = find(of, worlds(np.random.default_rng(9), 20, gain=0.03, variants=3))
    for at in range(2):
        track = found.tracks[at]["score"]
        assert np.allclose(found.adjusted[at]["score"].better, np.minimum(1, 4 * np.minimum(1, 2 * track.p_better)))
    assert guard_alpha(of) == 0.025
