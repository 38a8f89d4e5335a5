"""Gates judged: on all windows at once and many runs at a time (`judge`), or at the last look, for people (`verdict`).

One gate's two tests each have `alpha` times its share; the shares of a family sum to 1 at most, so that an identical
treatment is blocked by any gate with a chance of alpha at most, however often it is looked at. A treatment that is at
one gate's margin passes that gate with a chance of alpha times its share at most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from tidegate.control.gates.checks import checked, checked_family
from tidegate.control.gates.intervals import interval
from tidegate.control.gates.model import Absolute, Gate, Judgement, Ratio, State, Verdict
from tidegate.control.gates.questions import events_of, harm, line_of, not_beyond
from tidegate.control.gates.sentences import judged_because, verdict_because
from tidegate.stats.checks import BadSample, Floats
from tidegate.stats.sequential.stratified import Moments

__all__ = ["Judged", "judge", "verdict"]


@dataclass(frozen=True, slots=True)
class Judged:
    """A gate after each window, the last axis: whether it has been `breached` or has been found to hold (both stay so;
    a breach counts more), the always-valid p-values, and the estimate with the values it is made of (NaN: none yet).
    `n_control` and `n_treatment` are the units so far.
    """

    breached: npt.NDArray[np.bool_]
    holds: npt.NDArray[np.bool_]
    p_harm: Floats
    p_beyond: Floats
    estimate: Floats
    control: Floats
    treatment: Floats
    n_control: Floats
    n_treatment: Floats


def judge(gate: Gate, control: Moments, treatment: Moments, *, alpha: float) -> Judged:
    """The gate after each of the windows on the last axis; other axes are runs.

    `alpha` is the family's; the tests have alpha times the gate's share (the second: its `hold_share`). A rate's
    moments are those of 0 and 1. Ratio and Drop are estimated inside windows, weighted by n_c n_t / (n_c + n_t) (for
    rates Mantel and Haenszel's), so that what moves both arms cancels. A breach is harm that is proven while the
    estimate lies beyond `require_effect` of the way to the margin; for Absolute, that the value is surely beyond the
    bound. BadGate for a bad gate, BadSample for moments that cannot be.
    """
    level = alpha * checked(gate).share
    control, treatment = _by_window(control), _by_window(treatment)
    held = alpha * _hold_share(gate)
    harmful, fine = harm(gate, control, treatment, level), not_beyond(gate, control, treatment, held)
    mean_c, mean_t = _means(gate, control, treatment)
    shape = np.broadcast_shapes(harmful.log_e.shape, mean_t.shape)
    breached = harmful.rejects(level) & _far(gate, mean_c, mean_t)
    n_c, n_t = (np.broadcast_to(np.cumsum(arm.n, axis=-1), shape) for arm in (control, treatment))
    return Judged(
        np.logical_or.accumulate(np.broadcast_to(breached, shape), axis=-1),
        np.broadcast_to(fine.rejects(held), shape),
        np.broadcast_to(harmful.p_value, shape),
        np.broadcast_to(fine.p_value, shape),
        np.broadcast_to(_estimate(gate, mean_c, mean_t), shape),
        np.broadcast_to(mean_c, shape),
        np.broadcast_to(mean_t, shape),
        n_c,
        n_t,
    )


def verdict(gates: Sequence[Gate], evidence: Mapping[str, tuple[Moments, Moments]], *, alpha: float) -> Verdict:
    """All gates at the last look: `evidence` holds (control, treatment) by metric, each with one axis of windows.

    A metric without evidence leaves its gate open. BadGate as `checked_family`, BadSample as `judge`.
    """
    found = tuple(_judgement(gate, evidence.get(gate.metric), alpha) for gate in checked_family(gates))
    blocking = [one.state for one in found if one.gate.block]
    answer: Literal["pass", "block", "open"] = "open"
    if "breached" in blocking:
        answer = "block"
    elif all(state == "holds" for state in blocking):
        answer = "pass"
    return Verdict(answer=answer, judgements=found, alpha=alpha, why=verdict_because(answer, found))


def _judgement(gate: Gate, pair: tuple[Moments, Moments] | None, alpha: float) -> Judgement:
    level = alpha * gate.share
    if pair is None or pair[1].mean.shape[-1] == 0:
        return _unknown(gate, level)
    pair = (_by_window(pair[0]), _by_window(pair[1]))
    judged = judge(gate, *pair, alpha=alpha)
    low, high = interval(gate, *pair, level)
    state: State = "breached" if judged.breached[-1] else "holds" if judged.holds[-1] else "open"
    found = Judgement(
        gate=gate,
        state=state,
        control=_plain(judged.control[-1]),
        treatment=_plain(judged.treatment[-1]),
        n_control=int(judged.n_control[-1]),
        n_treatment=int(judged.n_treatment[-1]),
        estimate=_plain(judged.estimate[-1]),
        low=low,
        high=high,
        level=1 - level,
        p_harm=float(judged.p_harm[-1]),
        p_beyond=float(judged.p_beyond[-1]),
        why="",
        hold_level=None if gate.hold_share is None else 1 - alpha * gate.hold_share,
    )
    return _explained(found)


def _hold_share(gate: Gate) -> float:
    return gate.share if gate.hold_share is None else gate.hold_share


def _unknown(gate: Gate, level: float) -> Judgement:
    return _explained(
        Judgement(
            gate=gate,
            state="open",
            control=None,
            treatment=None,
            n_control=0,
            n_treatment=0,
            estimate=None,
            low=None,
            high=None,
            level=1 - level,
            p_harm=1.0,
            p_beyond=1.0,
            why="",
        )
    )


def _explained(found: Judgement) -> Judgement:
    return msgspec.structs.replace(found, why=judged_because(found))


def _by_window(arm: Moments) -> Moments:
    """The same with `n` for every window, which may have been said once for all."""
    if arm.mean.ndim == 0:
        raise BadSample("windows must lie on an axis")
    windows = arm.mean.shape[-1]
    if arm.n.ndim and arm.n.shape[-1] == windows:
        return arm
    return Moments(np.broadcast_to(arm.n, (*arm.n.shape[:-1], windows)), arm.mean, arm.squares)


def _means(gate: Gate, control: Moments, treatment: Moments) -> tuple[Floats, Floats]:
    """What is compared after each window: the arms' means weighted alike, or for Absolute each arm's own."""
    least = 1 if gate.shape == "rate" else 2
    arms = (control, treatment)
    values = [events_of(arm) / np.maximum(arm.n, 1.0) if gate.shape == "rate" else arm.mean for arm in arms]
    if isinstance(gate.rule, Absolute):
        weights = [arm.n * (arm.n >= least) for arm in arms]
    else:
        used = (control.n >= least) & (treatment.n >= least)
        weights = [np.where(used, control.n * treatment.n / np.maximum(control.n + treatment.n, 1.0), 0.0)] * 2
    found = []
    for value, weight in zip(values, weights, strict=True):
        whole = np.cumsum(weight, axis=-1)
        total = np.cumsum(weight * value, axis=-1)
        found.append(np.divide(total, whole, out=np.full(np.shape(total), np.nan), where=whole > 0))
    return found[0], found[1]


def _far(gate: Gate, control: Floats, treatment: Floats) -> npt.NDArray[np.bool_]:
    """Whether the estimate lies beyond the required share of the way to the margin; no division, so 0 events of the
    control do no harm. Unknown is not far.
    """
    slope, lift = line_of(gate, gate.require_effect)
    beyond = treatment - (lift if slope == 0 else slope * control + lift)
    return np.asarray(beyond > 0 if gate.better == "lower" else beyond < 0)


def _estimate(gate: Gate, control: Floats, treatment: Floats) -> Floats:
    if isinstance(gate.rule, Absolute):
        return treatment
    if not isinstance(gate.rule, Ratio):
        return np.asarray(treatment - control)
    known = control > 0
    other = np.where((control == 0) & (treatment > 0), np.inf, np.nan)
    return np.asarray(np.where(known, treatment / np.where(known, control, 1.0), other))


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
