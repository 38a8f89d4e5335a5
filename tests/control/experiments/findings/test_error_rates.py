"""How often the rule is wrong: seeded worlds, users who call again and again, and one who looks at every window."""

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from tests.support.experiment_logs import COST, ERRORS, HOUR, SCORE, START, People, definition, exposures
from tests.support.experiment_worlds import GUARDED, Tables, hours, share, stacked, within_5_se, worlds
from tidegate.control.experiments.findings.outcomes import Outcomes, outcomes_of
from tidegate.control.experiments.findings.verdict import boards, decided, find
from tidegate.control.experiments.model import Cuped, Definition

RUNS = 200


def simulated(of: Definition, people: People, seed: int) -> tuple[Tables, npt.NDArray[np.float64]]:
    """Runs of users who call again and again, through their logs; and by run the p-value of a test on all calls at
    every hour, as one would who takes calls for units."""
    rng = np.random.default_rng(seed)
    found, naive = [], []
    for _ in range(RUNS):
        log = exposures(people, rng)
        found.append(outcomes_of(of, log, started_at_ms=START, now_ms=START + 27 * HOUR).tables())
        arm = np.asarray([one.variant == "treatment" for one in log.calls])
        value = np.asarray([one.value for one in log.scores])
        hour = np.asarray([one.started_at_ms for one in log.calls]) - START
        looks = [hour < (at + 1) * HOUR for at in range(2, 24)]
        z = [
            (value[look & arm].mean() - value[look & ~arm].mean())
            / np.sqrt(sum(value[look & one].var() / (look & one).sum() for one in (arm, ~arm)))
            for look in looks
        ]
        naive.append(np.abs(z).max())
    return {name: stacked([one[name] for one in found]) for name in found[0]}, np.asarray(naive)


def test_the_same_prompt_twice_is_shipped_no_more_often_than_alpha_says_however_often_users_call_and_we_look():
    of = definition(SCORE, COST, ERRORS, rule="primary wins", min_samples=20)
    tables, naive = simulated(of, People(users=240, more_calls=3, own=0.3), 77)
    found = decided(of, tables, hours(tables["score"].n.shape[-1]))
    assert share(found, "ship") <= within_5_se(0.025, RUNS)
    assert np.mean(naive > 1.96) > within_5_se(0.05, RUNS)
    (board,) = boards(of, tables)
    told = board.wins["score"][:, -1] | board.loses["score"][:, -1]
    assert told.mean() <= within_5_se(0.05, RUNS)


def test_what_is_really_better_is_found_in_such_logs():
    of = definition(SCORE, COST, ERRORS, rule="primary wins", min_samples=20)
    tables, _ = simulated(of, People(users=300, more_calls=1, own=0.2, gain=0.15), 78)
    assert share(decided(of, tables, hours(tables["score"].n.shape[-1])), "ship") > 0.9


@pytest.mark.parametrize("rule", ["score wins or cost wins", "wins >= 1 of 3 at p < 0.05"])
def test_a_rule_of_many_metrics_is_wrong_no_more_often_than_alpha_says(rule: str):
    of = msgspec.structs.replace(GUARDED, rule=rule, guardrails=())
    found = decided(of, worlds(np.random.default_rng(79), 2000), hours())
    assert share(found, "ship") <= within_5_se(0.05, 2000)


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_cuped_narrows_what_is_known_as_far_as_the_past_tells_and_is_wrong_no_more_often(rho: float):
    rng, runs, units, windows = np.random.default_rng(80), 600, 800, 20
    of = definition(SCORE, rule="primary wins", min_samples=200, cuped=Cuped(lookback_s=86_400))
    raw, adjusted = [], []
    for _ in range(runs):
        past = rng.standard_normal(units)
        found = Outcomes(
            variant=rng.integers(0, 2, units),
            window=rng.integers(0, windows, units),
            at_ms=np.zeros(units, dtype=np.int64),
            propensity=np.full(units, 0.5),
            values={"score": rho * past + np.sqrt(1 - rho**2) * rng.standard_normal(units)},
            covariate=past,
            windows=windows,
            exposed=(400, 400),
            excluded={},
        )
        after = found.adjusted("score")
        assert after is not None
        raw.append(found.tables()["score"])
        adjusted.append(after)
    tables = {"score": stacked(raw)}
    (plain,), (narrow,) = (find(of, tables, adjusted=one).tracks for one in (None, stacked(adjusted)))
    widths = [(one["score"].high - one["score"].low)[:, -1].mean() for one in (plain, narrow)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(1 - rho**2), abs=0.08)
    wrong = (narrow["score"].low > 0) | (narrow["score"].high < 0)
    assert wrong.any(axis=-1).mean() <= within_5_se(0.05, runs)
    assert share(decided(of, tables, hours(windows), adjusted=stacked(adjusted)), "ship") <= within_5_se(0.025, runs)
