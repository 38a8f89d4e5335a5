"""Everything found at one look, from the calls to the decision. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from tidegate.control.experiments.findings.bandits import bandit_report
from tidegate.control.experiments.findings.compare import Track, events_of, ratio_intervals
from tidegate.control.experiments.findings.conclusion import Seen, decision
from tidegate.control.experiments.findings.doubts import doubts_of
from tidegate.control.experiments.findings.outcomes import Outcomes, outcomes_of
from tidegate.control.experiments.findings.split import BROKEN, WeightsLog, meant_shares, split_of
from tidegate.control.experiments.findings.verdict import Found, find, guard_alpha, variant_of
from tidegate.control.experiments.model import (
    Analysis,
    ArmReport,
    BanditReport,
    Contrast,
    Definition,
    Experiment,
    Look,
    Metric,
)
from tidegate.control.experiments.scales import scales_of
from tidegate.control.gates.judge import verdict
from tidegate.control.gates.model import Verdict
from tidegate.control.gates.sentences import worded
from tidegate.control.monitoring.exposures import Exposures
from tidegate.kernel.figures import p_text
from tidegate.kernel.plain import plain
from tidegate.kernel.scales import Scale
from tidegate.stats.posteriors import BetaBernoulli, expected_loss, probability_best
from tidegate.stats.sequential.stratified import Moments

__all__ = ["MOST_LOOKS", "MOST_RATIO_LOOKS", "analyse"]

MOST_LOOKS = 200
MOST_RATIO_LOOKS = 60
"""The interval of a ratio is searched for at each look."""

_DAY_MS = 86_400_000
_CELLS = 60_000


@dataclass(frozen=True, slots=True)
class _Ground:
    """What every part of the analysis is made from."""

    experiment: Experiment
    outcomes: Outcomes
    tables: Mapping[str, Moments]
    compared: Mapping[str, Moments]
    found: Found

    @property
    def definition(self) -> Definition:
        return self.experiment.definition

    @property
    def weights(self) -> tuple[int, ...]:
        """Those of now; before they are known the definition's."""
        return self.experiment.weights_bp or tuple(one.weight_bp for one in self.definition.variants)


def analyse(
    experiment: Experiment,
    exposures: Exposures,
    *,
    now_ms: int,
    history: Exposures | None = None,
    weights_log: WeightsLog = (),
) -> Analysis:
    """The analysis at a time (Unix ms) of an experiment's calls and their scores. `history` are the calls of the same
    units before the start, for CUPED; `weights_log` says since when which weights held.
    """
    definition, started = experiment.definition, experiment.started_at_ms
    at_ms = now_ms if experiment.ended_at_ms is None else min(now_ms, experiment.ended_at_ms)
    ended_at_ms = experiment.ended_at_ms
    outcomes = outcomes_of(
        definition, exposures, started_at_ms=started, now_ms=now_ms, history=history, ended_at_ms=ended_at_ms
    )
    tables, adjusted = outcomes.tables(), outcomes.adjusted(definition.primary)
    compared = tables if adjusted is None else {**tables, definition.primary: adjusted}
    ground = _Ground(experiment, outcomes, tables, compared, find(definition, tables, adjusted=adjusted))
    split = split_of(definition, outcomes, weights_log)
    days = max(at_ms - started, 0) / _DAY_MS
    a_day = sum(outcomes.exposed) / days if days and sum(outcomes.exposed) else None
    judged = outcomes.judged().sum(axis=1)
    arms = _arms(ground, meant_shares(ground.weights, outcomes, weights_log))
    scales = scales_of(definition, arms)
    seen = Seen(
        tables=compared,
        scales=scales,
        elapsed_s=np.arange(1.0, outcomes.windows + 1) * definition.window_s,
        judged=tuple(int(one) for one in judged),
        weights=ground.weights,
        units_per_day=a_day or _expected_a_day(definition),
        not_shippable=_biased(definition, split.responders_p),
        void="" if split.ok else _broken(split.p),
    )
    return Analysis(
        definition=definition,
        experiment_id=experiment.experiment_id,
        state=experiment.state,
        started_at_ms=started,
        at_ms=at_ms,
        ended_at_ms=ended_at_ms,
        days=days,
        units=int(judged.sum()),
        units_per_day=a_day,
        decision=decision(definition, ground.found, seen),
        arms=arms,
        contrasts=tuple(
            _contrast(ground, metric, at) for at in range(len(definition.treatments)) for metric in definition.metrics
        ),
        guardrails=_guardrails(ground, scales),
        split=split,
        excluded=outcomes.excluded,
        warnings=doubts_of(definition, outcomes, split),
        bandit=_bandit(definition, outcomes, weights_log),
    )


def _expected_a_day(definition: Definition) -> float | None:
    if definition.units_per_day is None:
        return None
    return definition.units_per_day * sum(one.weight_bp for one in definition.variants) / 10_000


def _broken(p: float) -> str:
    return (
        f"The units did not come in the shares that were meant ({p_text(p)}), so what is compared may not be alike. "
        "Nothing is decided until that is understood."
    )


def _biased(definition: Definition, responders_p: float | None) -> str:
    if responders_p is None or responders_p >= BROKEN:
        return ""
    return (
        f"The variants differ in how many units have a value of {definition.primary} ({p_text(responders_p)}): "
        "those who have one may not be alike, and nothing is shipped on them."
    )


def _bandit(definition: Definition, outcomes: Outcomes, weights_log: WeightsLog) -> BanditReport | None:
    if definition.bandit is None:
        return None
    return bandit_report(definition, outcomes, tuple((at, tuple(weights)) for at, weights in weights_log))


def _guardrails(ground: _Ground, scales: Mapping[str, Scale]) -> dict[str, Verdict]:
    definition = ground.definition
    if not definition.guardrails:
        return {}
    found = {}
    for at, variant in enumerate(definition.treatments, start=1):
        evidence = {
            gate.metric: (variant_of(ground.tables[gate.metric], 0), variant_of(ground.tables[gate.metric], at))
            for gate in definition.guardrails
        }
        judged = verdict(definition.guardrails, evidence, alpha=guard_alpha(definition))
        found[variant.name] = worded(judged, scales, plain(definition.variants[0].name))
    return found


def _arms(ground: _Ground, meant: Sequence[float]) -> tuple[ArmReport, ...]:
    definition, outcomes = ground.definition, ground.outcomes
    judged = outcomes.judged().sum(axis=1)
    found = []
    for at, variant in enumerate(definition.variants):
        whole = {name: _total(variant_of(table, at)) for name, table in ground.tables.items()}
        found.append(
            ArmReport(
                variant=variant.name,
                weight_bp=ground.weights[at],
                meant=meant[at],
                exposed=outcomes.exposed[at],
                judged=int(judged[at]),
                means={name: mean if n else None for name, (n, mean) in whole.items()},
                counted={name: n for name, (n, _) in whole.items()},
            )
        )
    return tuple(found)


def _total(table: Moments) -> tuple[int, float]:
    n = float(table.n.sum())
    return int(n), float((table.n * table.mean).sum() / n) if n else 0.0


def _contrast(ground: _Ground, metric: Metric, at: int) -> Contrast:
    definition, found = ground.definition, ground.found
    track, board = found.tracks[at][metric.name], found.boards[at]
    arms = tuple(variant_of(ground.compared[metric.name], arm) for arm in (0, at + 1))
    path = _path(ground, metric, track, (arms[0], arms[1]))
    known = track.p_better.shape[-1] > 0
    last = path[-1] if path else Look(0, None, None, None)
    n, usual = _total(variant_of(ground.tables[metric.name], 0))
    relative = None
    if last.estimate is not None and metric.method == "ratio":
        relative = last.estimate - 1
    elif last.estimate is not None and n and usual:
        relative = last.estimate / abs(usual)
    best, loss = _belief(metric, track, (arms[0], arms[1]))
    wins, loses = (known and bool(states[metric.name][-1]) for states in (board.wins, board.loses))
    return Contrast(
        metric=metric.name,
        variant=definition.treatments[at].name,
        scale=metric.method,
        state="wins" if wins else "loses" if loses else "open",
        estimate=last.estimate,
        low=last.low,
        high=last.high,
        level=1 - definition.alpha,
        p=float(track.p[-1]) if known else 1.0,
        p_adjusted=float(found.adjusted[at][metric.name].p[-1]) if known else 1.0,
        relative=relative,
        best=best,
        loss=loss,
        path=path,
    )


def _path(ground: _Ground, metric: Metric, track: Track, arms: tuple[Moments, Moments]) -> tuple[Look, ...]:
    """The contrast at evenly spread looks, the last window among them."""
    windows, level = track.p_better.shape[-1], 1 - ground.definition.alpha
    ratio = metric.method == "ratio"
    most = min(MOST_RATIO_LOOKS, max(12, _CELLS // max(windows, 1))) if ratio else MOST_LOOKS
    looks = _spread(windows, most)
    low, high = ratio_intervals(*arms, looks, level=level) if ratio else (track.low[looks], track.high[looks])
    started, window_ms = ground.experiment.started_at_ms, ground.definition.window_s * 1000
    return tuple(
        Look(started + (int(look) + 1) * window_ms, *map(_plain, numbers))
        for look, *numbers in zip(looks, track.estimate[looks], low, high, strict=True)
    )


def _spread(windows: int, most: int) -> npt.NDArray[np.int64]:
    if windows == 0:
        return np.zeros(0, dtype=np.int64)
    return np.unique(np.linspace(windows - 1, 0, min(windows, most)).round().astype(np.int64))


def _belief(metric: Metric, track: Track, arms: tuple[Moments, Moments]) -> tuple[float | None, float | None]:
    """How probable it is that the treatment is better, and what is expected to be lost by shipping it: of a difference
    from its estimate and error, taken as normal; of a ratio from Beta beliefs of both rates, a flat one before.
    """
    if not track.p_better.shape[-1]:
        return None, None
    lowest = metric.better == "lower"
    if metric.method == "ratio":
        windows = events_of(*arms)
        counted = [
            (float(getattr(windows, f"events_{arm}").sum()), float(getattr(windows, f"n_{arm}").sum())) for arm in "ct"
        ]
        if min(n for _, n in counted) == 0:
            return None, None
        beliefs = [BetaBernoulli(1 + events, 1 + n - events) for events, n in counted]
        best, loss = probability_best(beliefs, lowest=lowest), expected_loss(beliefs, lowest=lowest)
        return float(best[1]), float(loss[1])
    estimate, error = float(track.estimate[-1]), float(track.error[-1])
    if not np.isfinite(error) or not np.isfinite(estimate):
        return None, None
    gain = (-estimate if lowest else estimate) / error
    density = np.exp(-0.5 * gain * gain) / np.sqrt(2 * np.pi)
    return float(special.ndtr(gain)), float(error * max(density - gain * special.ndtr(-gain), 0.0))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
