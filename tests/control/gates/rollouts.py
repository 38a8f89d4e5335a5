"""Four guardrails over one rollout: 1,000 units every 5 minutes, of which the candidate has 5 %, then 25 %, then 50 %.

Errors 1 %, calls slower than the frozen p95 5 %, a faithfulness score of 0.8 with an sd of 0.18 and a cost that is
log-normal with sigma 0.9.
"""

from typing import NamedTuple

import numpy as np

from tests.stats.sequential.rollouts import N_C, N_T
from tidegate.control.gates.judge import judge
from tidegate.control.gates.model import Drop, Gate, Ratio
from tidegate.stats.sequential.stratified import Moments

__all__ = ["ALPHA", "GATES", "Harm", "judged", "moments_of_rate", "one_run", "rollouts"]

ALPHA = 0.05

GATES = (
    Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=0.25),
    Gate(metric="faithfulness", rule=Drop(0.03), shape="mean", better="higher", share=0.25, sd=0.18),
    Gate(metric="cost_usd", rule=Ratio(1.2), shape="mean", better="lower", share=0.25, burn_in=200),
    Gate(metric="p95_latency_ms", rule=Ratio(1.5), shape="rate", better="lower", share=0.25),
)


class Harm(NamedTuple):
    """What the candidate does: its errors, drop of faithfulness, cost and slow calls (times the control's)."""

    errors: float = 1.0
    drop: float = 0.0
    cost: float = 1.0
    slow: float = 1.0


def rollouts(harm, *, runs, seed):
    """(control, treatment) by metric, runs on axis 0 and windows on axis 1."""
    random = np.random.default_rng(seed)
    return {
        "error_rate": (_rate(random, 0.01, N_C, runs), _rate(random, 0.01 * harm.errors, N_T, runs)),
        "faithfulness": (_score(random, 0.0, N_C, runs), _score(random, harm.drop, N_T, runs)),
        "cost_usd": (_cost(random, 1.0, N_C, runs), _cost(random, harm.cost, N_T, runs)),
        "p95_latency_ms": (_rate(random, 0.05, N_C, runs), _rate(random, 0.05 * harm.slow, N_T, runs)),
    }


def judged(evidence, gates=GATES, alpha=ALPHA):
    """Every gate over every run, by metric."""
    return {gate.metric: judge(gate, *evidence[gate.metric], alpha=alpha) for gate in gates}


def one_run(evidence, run=0):
    """One run's evidence, as `verdict` takes it."""
    return {name: tuple(_of(arm, run) for arm in pair) for name, pair in evidence.items()}


def moments_of_rate(events, n):
    """The moments of 0 and 1: this many events of n."""
    events, n = np.broadcast_arrays(np.asarray(events, dtype=float), np.asarray(n, dtype=float))
    mean = events / np.maximum(n, 1)
    return Moments(n, mean, events * (1 - mean))


def _of(arm, run):
    return Moments(np.broadcast_to(arm.n, arm.mean.shape)[run], arm.mean[run], arm.squares[run])


def _rate(random, p, n, runs):
    return moments_of_rate(random.binomial(n, p, (runs, n.size)), n)


def _score(random, drop, n, runs):
    return _values(lambda size: 1 - drop - 0.6 * random.random(size, dtype=np.float32) ** 2, n, runs)


def _cost(random, times, n, runs):
    return _values(lambda size: times * np.exp(0.9 * random.standard_normal(size, dtype=np.float32)), n, runs)


def _values(draw, n, runs):
    found = []
    for units in n:
        values = draw((runs, int(units)))
        mean = values.mean(axis=-1, dtype=float)
        apart = values - mean[:, None].astype(np.float32)
        found.append((mean, np.einsum("ij,ij->i", apart, apart)))
    return Moments(n, *(np.stack(one, -1) for one in zip(*found, strict=True)))
