"""Logs of made-up users for the tests of experiments: who came when, called how often, and was scored how."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.control.experiments.findings.analysis import analyse
from tidegate.control.experiments.findings.outcomes import Outcomes, outcomes_of
from tidegate.control.experiments.model import Analysis, Contrast, Definition, Experiment, Metric, Variant
from tidegate.control.gates.model import Gate, Ratio
from tidegate.control.monitoring.exposures import Exposed, Exposures, Scored

START = 1_700_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR

SCORE = Metric(name="score", source="feedback", field="score", shape="mean", better="higher")
COST = Metric(name="cost", source="call", field="cost_usd", shape="mean", better="lower", per_unit="sum")
ERRORS = Metric(
    name="error_rate", source="call", field="error", shape="rate", better="lower", per_unit="any", method="ratio"
)
SLOW = Metric(
    name="slow", source="call", field="latency_ms", shape="rate", better="lower", per_unit="any", above=2000.0
)


def definition(*metrics: Metric, **changes: Any) -> Definition:
    """Two variants, half and half, windows of an hour, judged an hour after the first call."""
    found = Definition(
        name="tone",
        environment="production",
        subject="prompt:qa",
        variants=(Variant(name="control", weight_bp=5000), Variant(name="treatment", weight_bp=5000)),
        metrics=metrics or (SCORE, COST, ERRORS),
        primary=(metrics or (SCORE,))[0].name,
        rule="primary wins",
        observe_s=3600,
        window_s=3600,
        duration_s=48 * 3600,
        min_samples=100,
    )
    return msgspec.structs.replace(found, **changes)


def experiment(of: Definition, **changes: Any) -> Experiment:
    found = Experiment(
        experiment_id="exp_1",
        definition=of,
        state="running",
        salt="salt",
        from_bp=0,
        to_bp=10_000,
        weights_bp=tuple(one.weight_bp for one in of.variants),
        actor="ann",
        started_at_ms=START,
    )
    return msgspec.structs.replace(found, **changes)


def call(call_id: str, unit: str, variant: str = "control", at: int = 0, **changes: Any) -> Exposed:
    """A good call of 100 ms, `at` ms after the start."""
    found = Exposed(call_id, unit, variant, 0.5, START + at, "complete", 1_000_000, 100.0, 50.0, 5.0, 10, 20)
    return found._replace(**changes)


def score(call_id: str, value: float, at: int = 0, name: str = "score") -> Scored:
    return Scored(call_id, name, value, START + at)


@dataclass(frozen=True)
class People:
    """How users behave: each comes at some time within `hours`, calls 1 + Poisson(more_calls) times within about
    `spell_ms`, and is scored with a level of their own plus noise; the treatment adds `gain` to every score.
    """

    users: int = 600
    hours: int = 24
    more_calls: float = 2.0
    spell_ms: float = 1_800_000
    gain: float = 0.0
    own: float = 0.2
    noise: float = 0.1
    answered: float = 1.0
    share: float = 0.5
    errors: tuple[float, float] = (0.02, 0.02)


def exposures(people: People, rng: np.random.Generator, levels: npt.ArrayLike | None = None) -> Exposures:
    """Their calls and scores; `levels` are the users' own, drawn unless given."""
    n = people.users
    arm = (rng.random(n) < people.share).astype(int)
    came = rng.integers(0, people.hours * HOUR, n)
    own = 0.5 + people.own * rng.standard_normal(n) if levels is None else np.asarray(levels)
    user = np.repeat(np.arange(n), 1 + rng.poisson(people.more_calls, n))
    first = np.concatenate([[True], user[1:] != user[:-1]])
    at = came[user] + np.where(first, 0, rng.exponential(people.spell_ms, user.size)).astype(int)
    value = own[user] + people.gain * arm[user] + people.noise * rng.standard_normal(user.size)
    failed = rng.random(user.size) < np.asarray(people.errors)[arm[user]]
    said = rng.random(user.size) < people.answered
    later = at + rng.exponential(60_000, user.size).astype(int)
    calls, scores = [], []
    for i, (who, when) in enumerate(zip(user.tolist(), at.tolist(), strict=True)):
        share = people.share if arm[who] else 1 - people.share
        calls.append(
            Exposed(
                f"c{i}",
                f"u{who}",
                ("control", "treatment")[arm[who]],
                share,
                START + when,
                "failed" if failed[i] else "complete",
                1_000_000,
                100.0,
                50.0,
                5.0,
                10,
                20,
            )
        )
        if said[i]:
            scores.append(Scored(f"c{i}", "score", float(value[i]), START + int(later[i])))
    return Exposures(calls, scores)


def judged(
    of: Definition, calls: Sequence[Exposed], scores: Sequence[Scored] = (), *, now: int = DAY, **more: Any
) -> Outcomes:
    """The outcomes so long after the start."""
    return outcomes_of(of, Exposures(calls, scores), started_at_ms=START, now_ms=START + now, **more)


def values(found: Outcomes, metric: str) -> list[float]:
    """Of the units in the order in which they came."""
    return [float(one) for one in found.values[metric]]


# ---------------------------------------------------------------------------------------------------- analysed

GUARDED = definition(
    SCORE,
    COST,
    ERRORS,
    rule="primary wins and no guardrail loses",
    guardrails=(
        Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=1.0, require_effect=0.0),
    ),
)


def analysed(of: Definition, log: Exposures, *, now: int = 2 * DAY, **changes: Any) -> Analysis:
    """The analysis of the experiment so long after its start."""
    return analyse(experiment(of, **changes), log, now_ms=START + now)


def of_people(seed: int, of: Definition = GUARDED, **behaviour: Any) -> Analysis:
    """Two days after 1,500 people began to come."""
    people = People(**{"users": 1500, "more_calls": 1.0, **behaviour})
    return analysed(of, exposures(people, np.random.default_rng(seed)))


def contrast(found: Analysis, metric: str) -> Contrast:
    return next(one for one in found.contrasts if one.metric == metric)
