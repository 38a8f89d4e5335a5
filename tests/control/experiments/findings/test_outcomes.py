"""Units are judged once: which calls and scores count, in which window, and that nothing later changes it."""

from collections.abc import Callable, Sequence

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tests.support.experiment_logs import (
    COST,
    DAY,
    ERRORS,
    HOUR,
    SCORE,
    START,
    People,
    call,
    definition,
    exposures,
    judged,
    score,
    values,
)
from tidegate.control.experiments.findings.outcomes import GRACE_MS, Outcomes, complete_windows, settle_ms
from tidegate.control.experiments.model import Bandit, Cuped, Definition, Variant
from tidegate.control.monitoring.exposures import Exposed, Exposures
from tidegate.live.calls import ENDINGS

MINUTE = 60_000


# ------------------------------------------------------------------------------------------ what counts, and where


def test_a_unit_belongs_to_the_window_in_which_it_is_judged():
    of = definition(COST, observe_s=5400)
    found = judged(of, [call("a", "ann", at=0), call("b", "bob", at=30 * MINUTE), call("c", "cy", "treatment", HOUR)])
    assert found.window.tolist() == [1, 2, 2]
    assert found.variant.tolist() == [0, 0, 1]
    assert found.at_ms.tolist() == [START + at for at in (90 * MINUTE, 120 * MINUTE, 150 * MINUTE)]


def test_calls_count_that_started_by_the_time_a_unit_is_judged():
    of = definition(COST, observe_s=3600)
    calls = [call(str(at), "ann", at=at, cost_nano_usd=10**9) for at in (0, HOUR - 1, HOUR, HOUR + 1, 3 * HOUR)]
    assert values(judged(of, calls), "cost") == [3.0]


def test_scores_count_that_came_by_the_time_a_unit_is_judged_and_the_last_one_stands():
    of = definition(SCORE, observe_s=3600)
    scores = [score("a", 0.2, 10), score("a", 0.9, HOUR), score("a", 0.0, HOUR + 1), score("other", 0.5, 20)]
    assert values(judged(of, [call("a", "ann")], scores), "score") == [0.9]
    assert values(judged(of, [call("a", "ann")], scores[::-1]), "score") == [0.9]


def test_without_a_time_to_observe_the_first_call_counts_and_scores_that_came_before_its_window_ended():
    of = definition(SCORE, COST, observe_s=0)
    calls = [call("a", "ann", at=HOUR + 5, cost_nano_usd=10**9), call("b", "ann", at=HOUR + 6, cost_nano_usd=10**9)]
    scores = [score("a", 0.4, 2 * HOUR - 1), score("a", 1.0, 2 * HOUR), score("b", 0.7, HOUR + 7)]
    found = judged(of, calls, scores)
    assert (values(found, "cost"), values(found, "score"), found.window.tolist()) == ([1.0], [0.4], [1])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_calls_of_one_moment_the_same_one_is_always_the_first(order: int):
    calls = [call("b", "ann", cost_nano_usd=2 * 10**9), call("a", "ann", cost_nano_usd=10**9)][::order]
    assert values(judged(definition(COST, observe_s=0), calls), "cost") == [1.0]


def test_a_window_is_given_when_it_is_over_and_all_that_started_in_it_is_written_down():
    of = definition(COST, observe_s=0)
    ready = HOUR + settle_ms(of) + GRACE_MS
    assert judged(of, [call("a", "ann")], now=ready - 1).windows == 0
    found = judged(of, [call("a", "ann")], now=ready)
    assert (found.windows, len(found.variant)) == (1, 1)


@pytest.mark.parametrize(("window_s", "settle"), [(10, 10_000), (3600, 120_000)])
def test_calls_under_way_are_waited_for_but_never_longer_than_a_window(window_s: int, settle: int):
    assert settle_ms(definition(window_s=window_s)) == settle


def test_after_the_end_no_window_is_given_that_was_not_over():
    of = definition(COST)
    ended = START + 3 * HOUR + 5
    assert complete_windows(of, started_at_ms=START, now_ms=START + DAY, ended_at_ms=ended) == 3


def test_units_that_are_not_judged_yet_are_exposed():
    found = judged(definition(COST), [call("a", "ann"), call("b", "bob", "treatment", 23 * HOUR)])
    assert found.exposed == (1, 1)
    assert found.tables()["cost"].n.sum() == 1


# ------------------------------------------------------------------------------------------ two variants of one unit


def test_a_unit_that_was_seen_in_two_variants_before_it_was_judged_is_left_out():
    calls = [call("a", "ann"), call("b", "ann", "treatment", 5), call("c", "bob")]
    found = judged(definition(COST), calls)
    assert (len(found.variant), found.excluded, found.switched) == (1, {"mixed": 1}, 0)


def test_a_unit_that_changed_after_it_was_judged_stays_as_it_was_judged():
    calls = [call("a", "ann"), call("b", "ann", "treatment", 2 * HOUR)]
    found = judged(definition(COST), calls)
    assert (found.variant.tolist(), found.excluded, found.switched) == ([0], {}, 1)


def test_a_bandit_moves_units_and_each_counts_for_its_first_variant():
    of = definition(COST, bandit=Bandit(algorithm="thompson"))
    calls = [call("a", "ann", cost_nano_usd=10**9), call("b", "ann", "treatment", 5, cost_nano_usd=10**9)]
    found = judged(of, calls)
    assert (found.variant.tolist(), values(found, "cost"), found.excluded) == ([0], [1.0], {})


def test_what_cannot_count_is_counted_by_why():
    calls = [
        call("a", ""),
        call("b", "bob", "elsewhere"),
        call("c", "cy", at=-1),
        call("d", "di", latency_ms=120_001.0),
        call("e", "ed"),
    ]
    found = judged(definition(COST), calls)
    assert found.excluded == {"no_unit": 1, "unknown_variant": 1, "before_start": 1, "unfinished": 1}
    assert len(found.variant) == 1


# ------------------------------------------------------------------------------------------ tables


def test_tables_are_moments_by_variant_and_window():
    log = exposures(People(users=300), np.random.default_rng(5))
    found = judged(definition(SCORE, COST), log.calls, log.scores)
    table = found.tables()["score"]
    assert table.n.shape == (2, found.windows)
    for variant in range(2):
        for window in range(found.windows):
            mine = found.values["score"][(found.variant == variant) & (found.window == window)]
            mine = mine[~np.isnan(mine)]
            assert table.n[variant, window] == mine.size
            assert table.mean[variant, window] == pytest.approx(mine.mean() if mine.size else 0.0)
            assert table.squares[variant, window] == pytest.approx(
                ((mine - mine.mean()) ** 2).sum() if mine.size else 0
            )


def test_values_that_are_all_alike_have_no_spread_at_all():
    calls = [call(str(i), f"u{i}", ("control", "treatment")[i % 2], i) for i in range(101)]
    table = judged(definition(SCORE), calls, [score(str(i), 0.1, i + 1) for i in range(101)]).tables()["score"]
    assert table.squares.max() == 0
    assert set(table.mean[table.n > 0]) == {0.1}


def test_nothing_gives_nothing():
    for now in (0, HOUR, DAY):
        found = judged(definition(cuped=Cuped(lookback_s=86_400)), [], now=now, history=Exposures([], []))
        assert found.exposed == (0, 0)
        assert found.adjusted("score") is None
        assert all(table.n.shape == (2, found.windows) for table in found.tables().values())


# ------------------------------------------------------------------------------------------ properties

UNITS = ("ann", "bob", "cy", "di")
LAST = 6 * HOUR


@st.composite
def logs(draw: st.DrawFn) -> Exposures:
    at = st.integers(0, LAST)
    calls = [
        call(
            f"c{i}",
            draw(st.sampled_from(UNITS)),
            draw(st.sampled_from(("control", "treatment", "control", "control"))),
            draw(at),
            latency_ms=float(draw(st.sampled_from((10, 5_000, 119_000, 300_000)))),
            ending=draw(st.sampled_from(ENDINGS)),
            cost_nano_usd=draw(st.sampled_from((None, 0, 7_000_000))),
        )
        for i in range(draw(st.integers(0, 14)))
    ]
    ids = st.sampled_from([f"c{i}" for i in range(14)])
    scores = [
        score(draw(ids), draw(st.sampled_from((0.0, 0.25, 1.0))), draw(at)) for _ in range(draw(st.integers(0, 14)))
    ]
    return Exposures(calls, scores)


definitions = st.builds(
    lambda observe_s, bandit, cuped: definition(
        SCORE, COST, ERRORS, observe_s=observe_s, bandit=bandit, cuped=Cuped(lookback_s=86_400) if cuped else None
    ),
    st.sampled_from((0, 600, 3600, 7200)),
    st.sampled_from((None, Bandit(algorithm="thompson"))),
    st.booleans(),
)
HISTORY = Exposures(
    [call(f"h{i}", unit, at=-HOUR - i, cost_nano_usd=i * 1_000_000) for i, unit in enumerate(UNITS[:3])],
    [score(f"h{i}", 0.3 * i, -60_000) for i in range(3)],
)


def told(found: Outcomes, windows: int) -> dict[str, list[list[float]]]:
    tables = {**found.tables(), "adjusted": found.adjusted("score")}
    return {
        f"{name}.{part}": getattr(table, part)[:, :windows].tolist()
        for name, table in tables.items()
        if table is not None
        for part in ("n", "mean", "squares")
    }


@given(definitions, logs(), st.data())
def test_the_order_of_rows_and_the_names_of_units_change_nothing(of: Definition, log: Exposures, data: st.DataObject):
    def renamed(found: Sequence[Exposed]) -> list[Exposed]:
        return [one._replace(unit=f"unit {one.unit[::-1]}") for one in found]

    shuffled = Exposures(renamed(data.draw(st.permutations(log.calls))), data.draw(st.permutations(log.scores)))
    history = Exposures(renamed(HISTORY.calls), HISTORY.scores)
    one = judged(of, log.calls, log.scores, history=HISTORY)
    other = judged(of, shuffled.calls, shuffled.scores, history=history)
    assert told(one, one.windows) == told(other, other.windows)
    assert (one.exposed, one.excluded, one.switched) == (other.exposed, other.excluded, other.switched)


@given(definitions, logs(), st.integers(0, LAST + HOUR))
def test_what_comes_later_changes_no_unit_and_no_window_that_was_given(of: Definition, log: Exposures, now: int):
    seen = START + now - GRACE_MS
    known = Exposures(
        [one for one in log.calls if one.started_at_ms + one.latency_ms <= seen],
        [one for one in log.scores if one.at_ms <= seen],
    )
    then = judged(of, known.calls, known.scores, now=now, history=HISTORY)
    later = judged(of, log.calls, log.scores, history=HISTORY)
    assert told(then, then.windows) == told(later, then.windows)


# ------------------------------------------------------------------------------------------ CUPED


def with_history(rng: np.random.Generator, people: People, rho: float) -> tuple[Exposures, Exposures]:
    """A log, and one of before the start: the score of one call each, whose correlation with the later one is rho."""
    level = rng.standard_normal(people.users)
    before = rho * level + np.sqrt(1 - rho**2) * rng.standard_normal(people.users)
    log = exposures(people, rng, levels=level)
    units = [f"u{i}" for i in range(people.users)]
    calls = [call(f"h{i}", unit, at=-HOUR) for i, unit in enumerate(units)]
    return log, Exposures(calls, [score(f"h{i}", float(before[i]), -MINUTE) for i in range(people.users)])


def test_cuped_takes_out_of_the_variance_what_the_time_before_explains():
    rng = np.random.default_rng(11)
    log, history = with_history(rng, People(users=4000, more_calls=0, noise=0.0), 0.8)
    found = judged(
        definition(SCORE, cuped=Cuped(lookback_s=86_400)), log.calls, log.scores, now=2 * DAY, history=history
    )
    raw, adjusted = found.tables()["score"], found.adjusted("score")
    assert adjusted is not None
    left = adjusted.squares[:, 3:].sum() / raw.squares[:, 3:].sum()
    assert left == pytest.approx(1 - 0.8**2, abs=0.03)


def test_what_is_adjusted_by_was_fixed_before_the_window_began():
    rng = np.random.default_rng(14)
    past, window = rng.standard_normal(900), np.repeat([0, 1, 2], 300)
    value = 0.7 * past + rng.standard_normal(900)
    found = Outcomes(
        variant=np.zeros(900, dtype=np.int64),
        window=window,
        at_ms=window,
        propensity=np.ones(900),
        values={"score": value},
        covariate=past,
        windows=3,
        exposed=(900,),
        excluded={},
    )
    adjusted = found.adjusted("score")
    assert adjusted is not None
    for k in range(3):
        parts = [np.cov(past[window == w], value[window == w]) for w in range(k)]
        theta = sum(part[0, 1] for part in parts) / sum(part[0, 0] for part in parts) if parts else 0.0
        left = value[window == k] - theta * past[window == k]
        assert adjusted.mean[0, k] == pytest.approx(left.mean())
        assert adjusted.squares[0, k] == pytest.approx(((left - left.mean()) ** 2).sum())


def test_a_unit_that_was_not_there_before_is_taken_for_usual_and_stays_in():
    log, history = with_history(np.random.default_rng(12), People(users=400, more_calls=0), 0.8)
    newcomers = Exposures(history.calls[:200], history.scores)
    found = judged(
        definition(SCORE, cuped=Cuped(lookback_s=86_400)), log.calls, log.scores, now=2 * DAY, history=newcomers
    )
    adjusted = found.adjusted("score")
    assert adjusted is not None
    assert np.array_equal(adjusted.n, found.tables()["score"].n)
    assert found.covariate is not None
    assert np.count_nonzero(found.covariate == 0) == 200


@pytest.mark.parametrize(
    "changed",
    [
        lambda one: one._replace(started_at_ms=START),
        lambda one: one._replace(started_at_ms=START - 2 * DAY),
        lambda one: one._replace(unit=""),
    ],
)
def test_only_calls_of_the_lookback_are_a_covariate(changed: Callable[[Exposed], Exposed]):
    log, history = with_history(np.random.default_rng(13), People(users=50), 0.8)
    moved = Exposures([changed(one) for one in history.calls], history.scores)
    assert (
        judged(definition(SCORE, cuped=Cuped(lookback_s=86_400)), log.calls, log.scores, history=moved).covariate
        is None
    )


@settings(max_examples=20)
@given(st.integers(2, 5))
def test_tables_have_a_row_for_each_variant(variants: int):
    names = [f"v{i}" for i in range(variants)]
    of = definition(COST, variants=tuple(Variant(name=one, weight_bp=2000) for one in names))
    found = judged(of, [call(one, f"user of {one}", one) for one in names])
    assert found.tables()["cost"].n.sum(axis=1).tolist() == [1.0] * variants
