"""How a rollout is measured: by the same code as experiments, stable against candidate, judged by the plan's gates."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from tidegate.control.experiments.files.metrics import metric_named
from tidegate.control.experiments.findings.freeze import freeze
from tidegate.control.experiments.model import Definition, Metric, Variant
from tidegate.control.gates.model import Absolute, Gate, Judgement, Verdict
from tidegate.control.gates.questions import line_of
from tidegate.control.monitoring.exposures import Exposures
from tidegate.control.rollouts.model import Plan, Rollout
from tidegate.control.rollouts.observing.model import GRACE_MS, settle_ms

__all__ = [
    "CANDIDATE",
    "STABLE",
    "Told",
    "constant_in",
    "definition_of",
    "early",
    "frozen_plan",
    "lag_s",
    "metrics_of",
    "told_of",
]

STABLE, CANDIDATE = "stable", "candidate"

EARLY = 0.5
"""An estimate beyond this part of the way to the margin is an early warning: shown, never acted on."""

_WHOLE_BP = 10_000
_UNASKED = "primary wins and no guardrail loses"
_LONGEST_S = 366 * 86_400


class Told(NamedTuple):
    """What the gates say at one look, by their metrics' names, as Evidence has it."""

    breached: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()


def definition_of(rollout: Rollout) -> Definition:
    """The rollout as an experiment: two variants with the shares of now, the metrics of all its gates, units judged
    once, windows. Its guardrails are the gates that judge now: of the canary, or of the copies before it.
    """
    plan = rollout.plan
    stable, candidate = (
        Variant(name=name, weight_bp=weight, prompt=rollout.prompt, version=side.version, model=side.model)
        for name, weight, side in (
            (STABLE, _WHOLE_BP - rollout.weight_bp, rollout.stable),
            (CANDIDATE, rollout.weight_bp, rollout.candidate),
        )
    )
    found = _defined(plan, (stable, candidate), plan.gates if rollout.weight_bp else plan.shadow_gates)
    return msgspec.structs.replace(
        found, name=rollout.rollout_id, environment=rollout.environment, subject=f"prompt:{rollout.prompt}"
    )


def metrics_of(plan: Plan) -> tuple[Metric, ...]:
    """The metric of every gate, each once: as `metrics` says, else as its name is known."""
    said = {one.name: one for one in plan.metrics}
    names = dict.fromkeys(gate.metric for gate in (*plan.gates, *plan.shadow_gates))
    return tuple(said.get(name) or metric_named(name) for name in names)


def frozen_plan(plan: Plan, history: Exposures) -> Plan:
    """The plan with what the calls before the start tell: the thresholds of its quantiles, baselines and deviations, as
    an experiment's are frozen. A metric of calls that never varied (`constant_in`) is no longer needed by a stage: of
    what is always alike nothing could be shown, and its gate still tells harm.
    """
    arms = tuple(Variant(name=name, weight_bp=_WHOLE_BP // 2) for name in (STABLE, CANDIDATE))
    found = freeze(_defined(plan, arms, (*plan.gates, *plan.shadow_gates)), history)
    frozen = msgspec.structs.replace(
        plan,
        metrics=found.measured,
        gates=found.guardrails[: len(plan.gates)],
        shadow_gates=found.guardrails[len(plan.gates) :],
    )
    constant = constant_in(frozen)
    if not constant:
        return frozen
    stages = tuple(
        msgspec.structs.replace(one, needs=tuple(name for name in one.needs if name not in constant))
        for one in plan.stages
    )
    return msgspec.structs.replace(frozen, stages=stages)


def constant_in(frozen: Plan) -> tuple[str, ...]:
    """The metrics of a frozen plan that were the same in every unit before: cost, where the model costs nothing."""
    return tuple(
        one.name
        for one in metrics_of(frozen)
        if one.source == "call" and one.shape == "mean" and one.baseline is not None and one.sd is None
    )


def lag_s(plan: Plan) -> int:
    """How many seconds after its end a window is known: units are watched, calls under way are waited for."""
    return plan.observe_s + (settle_ms(plan) + GRACE_MS) // 1000


def told_of(verdict: Verdict) -> Told:
    """What a verdict says of each metric: breached when a gate of it that blocks is, else holding when all of them hold
    (of gates that only warn, when those do)."""
    names = tuple(dict.fromkeys(one.gate.metric for one in verdict.judgements))
    return Told(
        breached=tuple(name for name in names if any(_blocks(one) for one in _of(name, verdict.judgements))),
        holds=tuple(name for name in names if all(one.state == "holds" for one in _of(name, verdict.judgements))),
        warned=tuple(name for name in names if any(early(one) for one in _of(name, verdict.judgements))),
    )


def early(one: Judgement) -> bool:
    """Whether the estimate lies beyond EARLY of the way to the margin, without a proof of harm; of an absolute bound,
    beyond the bound."""
    if one.state == "breached" or one.treatment is None or one.control is None:
        return False
    slope, lift = line_of(one.gate, EARLY)
    beyond = one.treatment - (lift if isinstance(one.gate.rule, Absolute) else slope * one.control + lift)
    return beyond > 0 if one.gate.better == "lower" else beyond < 0


def _blocks(one: Judgement) -> bool:
    return one.gate.block and one.state == "breached"


def _of(name: str, judgements: Iterable[Judgement]) -> tuple[Judgement, ...]:
    """The judgements of a metric that count: those that block, or all when none does."""
    found = tuple(one for one in judgements if one.gate.metric == name)
    return tuple(one for one in found if one.gate.block) or found


def _defined(plan: Plan, variants: tuple[Variant, ...], gates: Sequence[Gate]) -> Definition:
    metrics = metrics_of(plan)
    return Definition(
        name="rollout",
        environment="",
        subject="",
        variants=variants,
        metrics=metrics,
        primary=metrics[0].name if metrics else "",
        rule=_UNASKED,
        guardrails=tuple(gates),
        unit=plan.unit,
        observe_s=plan.observe_s,
        window_s=plan.window_s,
        duration_s=_LONGEST_S,
        min_samples=1,
        alpha=plan.alpha,
    )
