"""Analyses as they come: shipped, kept, open, with a broken split, of a bandit, and before the first window."""

from typing import Any

import msgspec

from tidegate.control.experiments.model import (
    Analysis,
    ArmReport,
    Bandit,
    BanditReport,
    Contrast,
    Cuped,
    Decision,
    Definition,
    Look,
    Metric,
    Operating,
    Scenario,
    SplitReport,
    Variant,
)
from tidegate.control.gates.model import Absolute, Drop, Gate, Judgement, Ratio, State, Verdict

__all__ = [
    "SAMPLES",
    "bandit",
    "broken_split",
    "contrast",
    "empty",
    "inconclusive",
    "judgement",
    "kept",
    "operating",
    "shipped",
    "the_definition",
]

START_MS = 1_795_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

RESOLVED = Metric(
    name="resolved", source="feedback", field="resolved", shape="rate", better="higher", baseline=0.62, effect=0.02
)
FAITHFULNESS = Metric(
    name="faithfulness", source="feedback", field="faithfulness", shape="mean", better="higher", sd=0.18, baseline=0.81
)
COST = Metric(
    name="cost_per_query", source="call", field="cost_usd", shape="mean", better="lower", unit="usd", sd=0.0021
)
LATENCY = Metric(
    name="latency_ms", source="call", field="latency_ms", shape="mean", better="lower", unit="ms", sd=620.0
)
ERRORS = Metric(
    name="error_rate", source="call", field="error", shape="rate", better="lower", per_unit="any", method="ratio"
)

GATES = (
    Gate(metric="error_rate", rule=Ratio(1.5), shape="rate", better="lower", share=0.4),
    Gate(metric="faithfulness", rule=Drop(0.03), shape="mean", better="higher", share=0.4),
    Gate(metric="latency_ms", rule=Absolute(2500.0), shape="mean", better="lower", share=0.2, block=False),
)


def the_definition(**changes: Any) -> Definition:
    """A test of two prompts with four metrics and three guardrails."""
    definition = Definition(
        name="tone-v2-production",
        environment="production",
        subject="prompt:qa",
        description="A warmer tone, asked for by support.",
        variants=(
            Variant(name="control", weight_bp=5000, prompt="qa", version="3.2.1", model="gpt-4o-mini"),
            Variant(name="treatment", weight_bp=5000, prompt="qa", version="3.3.0", model="gpt-4o-mini"),
        ),
        metrics=(RESOLVED, FAITHFULNESS, COST, LATENCY, ERRORS),
        primary="resolved",
        rule="primary wins and no guardrail loses",
        guardrails=GATES,
        layer="tone",
        tags={"tier": "free"},
        keys=("web",),
        observe_s=3600,
        window_s=300,
        min_samples=2000,
        cuped=Cuped(lookback_s=14 * 86_400),
        units_per_day=2400.0,
    )
    return msgspec.structs.replace(definition, **changes)


def path(estimate: float, low: float, high: float, looks: int = 40, null: float = 0.0) -> tuple[Look, ...]:
    """How an estimate came to where it is: the first look knows nothing, then intervals narrow."""
    found = [Look(START_MS + 6 * HOUR_MS, None, None, None)]
    for look in range(1, looks + 1):
        wide = (looks / look) ** 0.5
        wobble = (null - estimate) * (wide - 1) * (0.12 if look % 3 else -0.08)
        center = estimate + wobble
        found.append(
            Look(
                START_MS + 6 * HOUR_MS + look * 3 * HOUR_MS,
                center,
                center - (estimate - low) * wide if null == 0 else center / (estimate / low) ** wide,
                center + (high - estimate) * wide if null == 0 else center * (high / estimate) ** wide,
            )
        )
    return tuple(found)


def contrast(metric: str, state: Any, found: tuple[float, float, float], **fields: Any) -> Contrast:
    """One metric of the treatment, with a path that ends in what was found."""
    scale = fields.pop("scale", "difference")
    whole: dict[str, Any] = {
        "variant": "treatment", "level": 0.95, "p": 0.004 if state != "open" else 0.4, "best": 0.9987, "loss": 0.0002,
        "p_adjusted": 0.012 if state != "open" else 0.62, "relative": None if scale == "ratio" else 0.05,
        "path": path(*found, null=1.0 if scale == "ratio" else 0.0),
    }  # fmt: skip
    estimate, low, high = found
    return Contrast(metric=metric, state=state, scale=scale, estimate=estimate, low=low, high=high, **(whole | fields))


def judgement(gate: Gate, state: State, found: tuple[float | None, float | None, float | None], why: str) -> Judgement:
    """What was found of a guardrail."""
    return Judgement(
        gate=gate, state=state, control=0.011, treatment=0.012, n_control=6200, n_treatment=6180, estimate=found[0],
        low=found[1], high=found[2], level=0.96, p_harm=0.3, p_beyond=0.004, why=why,
    )  # fmt: skip


def arm(variant: str, exposed: int, judged: int, **means: float | None) -> ArmReport:
    """A variant that was meant to get half."""
    counted = {name: 0 if mean is None else judged for name, mean in means.items()}
    return ArmReport(variant=variant, weight_bp=5000, exposed=exposed, judged=judged, means=means, counted=counted)


def shipped() -> Analysis:
    """The treatment resolves more, and every guardrail holds."""
    return Analysis(
        definition=the_definition(),
        experiment_id="exp_01",
        state="running",
        started_at_ms=START_MS,
        at_ms=START_MS + 5 * DAY_MS,
        ended_at_ms=None,
        days=5.2,
        units=12_431,
        units_per_day=2391.0,
        decision=Decision(answer="ship", variant="treatment", why="resolved wins."),
        arms=(
            arm("control", 6301, 6233, resolved=0.6187, faithfulness=0.8123, cost_per_query=0.00412,
                latency_ms=1180.4, error_rate=0.0112),
            arm("treatment", 6260, 6198, resolved=0.6499, faithfulness=0.8241, cost_per_query=0.00448,
                latency_ms=1221.9, error_rate=0.0109),
        ),
        contrasts=(
            contrast("resolved", "wins", (0.0312, 0.0118, 0.0503)),
            contrast("faithfulness", "wins", (0.0118, 0.0021, 0.0214)),
            contrast("cost_per_query", "open", (0.00036, -0.00002, 0.00074), best=0.04, loss=0.00037),
            contrast("latency_ms", "open", (41.5, -12.0, 95.0), best=0.08, loss=43.0),
            contrast("error_rate", "open", (0.97, 0.71, 1.33), scale="ratio", best=0.58, loss=0.0003),
        ),
        guardrails={
            "treatment": Verdict(
                answer="pass",
                alpha=0.05,
                why="Every guardrail holds.",
                judgements=(
                    judgement(GATES[0], "holds", (0.97, 0.71, 1.33), "error_rate is surely below 1.5 times."),
                    judgement(GATES[1], "holds", (0.0118, 0.0021, 0.0214), "faithfulness is surely no 3 points lower."),
                    judgement(GATES[2], "holds", (1221.9, 1190.0, 1254.0), "latency_ms is surely below 2,500 ms."),
                ),
            )
        },
        split=SplitReport(ok=True, p=0.71, responders_p=0.4),
        excluded={"mixed": 31, "late": 0},
    )  # fmt: skip


def kept() -> Analysis:
    """A blocking guardrail is broken: errors rose."""
    good = shipped()
    broken = judgement(GATES[0], "breached", (1.83, 1.32, 2.51), "error_rate rose, and by more than half the margin.")
    verdict = msgspec.structs.replace(
        good.guardrails["treatment"], answer="block", judgements=(broken, *good.guardrails["treatment"].judgements[1:])
    )
    return msgspec.structs.replace(
        good,
        state="stopped",
        ended_at_ms=good.at_ms,
        decision=Decision(answer="keep", variant="control", why="error_rate is breached."),
        contrasts=(*good.contrasts[:-1], contrast("error_rate", "loses", (1.83, 1.32, 2.51), scale="ratio")),
        guardrails={"treatment": verdict},
    )


def inconclusive() -> Analysis:
    """Nothing is known yet, and how much is missing is."""
    good = shipped()
    held = good.guardrails["treatment"].judgements
    unsure = judgement(GATES[0], "open", (1.04, 0.71, 1.53), "error_rate may still be above 1.5 times.")
    return msgspec.structs.replace(
        good,
        decision=Decision(answer="inconclusive", variant=None, why="Too early.", more_units=4187, about_days=6.2),
        contrasts=(contrast("resolved", "open", (0.0094, -0.0087, 0.0276)), *good.contrasts[2:]),
        guardrails={"treatment": Verdict(answer="open", alpha=0.05, why="", judgements=(unsure, *held[1:]))},
        warnings=("Half of all calls came from one key.",),
    )


def broken_split() -> Analysis:
    """The treatment lost a tenth of its units on the way."""
    good = shipped()
    arms = (good.arms[0], msgspec.structs.replace(good.arms[1], exposed=5604, judged=5570))
    split = SplitReport(ok=False, p=3e-10, responders_p=0.2)
    return msgspec.structs.replace(good, arms=arms, split=split)


def bandit() -> Analysis:
    """Four prompts, the third of which earns most."""
    good = shipped()
    names = ("plain", "short", "warm", "strict")
    rates = (0.61, 0.62, 0.66, 0.57)
    counts = (1610, 1490, 7420, 1180)
    definition = the_definition(
        name="greeting-bandit",
        variants=tuple(Variant(name=name, weight_bp=2500, prompt="greeting", version="1.0.0") for name in names),
        metrics=(RESOLVED, ERRORS),
        guardrails=(),
        cuped=None,
        bandit=Bandit(algorithm="top-two", floor=0.1, every_s=600, memory_s=None),
    )
    weights = [(2500, 2500, 2500, 2500)]
    for step in range(1, 21):
        rest = round(1500 + 4500 * min(step / 14, 1.0)) - 1000
        other = (10_000 - 2000 - rest) // 2
        weights.append((other, 10_000 - 1000 - other - (rest + 1000), rest + 1000, 1000))
    report = BanditReport(
        weights=tuple((START_MS + look * 4 * HOUR_MS, one) for look, one in enumerate(weights)),
        posterior=tuple(
            (rate, rate - 1 / count**0.5, rate + 1 / count**0.5) for rate, count in zip(rates, counts, strict=True)
        ),
        best=(0.004, 0.03, 0.966, 0.0000001),
        weighted_means=((0.612, 0.58, 0.644), (0.618, 0.586, 0.65), (0.658, 0.644, 0.672), None),
        regret=171.0,
        regret_path=tuple((START_MS + look * 4 * HOUR_MS, 171.0 * (look / 20) ** 0.6) for look in range(21)),
        leader="warm",
        may_stop=False,
    )
    return msgspec.structs.replace(
        good,
        definition=definition,
        units=sum(counts),
        arms=tuple(
            ArmReport(
                variant=name, weight_bp=weight, exposed=count, judged=count, means={"resolved": rate},
                counted={"resolved": count},
            )
            for name, rate, count, weight in zip(names, rates, counts, weights[-1], strict=True)
        ),
        contrasts=tuple(
            contrast("resolved", state, found, variant=name)
            for name, state, found in (
                ("short", "open", (0.01, -0.031, 0.052)),
                ("warm", "wins", (0.05, 0.012, 0.088)),
                ("strict", "open", (-0.04, -0.085, 0.004)),
            )
        ),
        guardrails={},
        decision=Decision(answer="inconclusive", variant=None, why="", more_units=None, about_days=3.0),
        bandit=report,
    )  # fmt: skip


def empty() -> Analysis:
    """A minute after the start: no window is over."""
    good = shipped()
    nothing = {metric.name: None for metric in good.definition.metrics}
    return msgspec.structs.replace(
        good,
        at_ms=START_MS + 60_000,
        days=0.0007,
        units=0,
        units_per_day=None,
        decision=Decision(answer="inconclusive", variant=None, why="No window is over."),
        arms=tuple(arm(variant.name, 0, 0, **nothing) for variant in good.definition.variants),
        contrasts=tuple(
            msgspec.structs.replace(
                one, state="open", estimate=None, low=None, high=None, p=1.0, p_adjusted=1.0, relative=None,
                best=None, loss=None, path=(),
            )
            for one in good.contrasts
        ),
        guardrails={
            "treatment": Verdict(
                answer="open", alpha=0.05, why="",
                judgements=tuple(judgement(gate, "open", (None, None, None), "") for gate in GATES),
            )
        },
        split=SplitReport(ok=True, p=1.0, responders_p=None),
        excluded={},
    )  # fmt: skip


def scenario(
    name: str, effect: str, shares: tuple[float, float, float], error: float, median: float | None
) -> Scenario:
    """What came of 2,000 runs."""
    ship, keep, unknown = shares
    return Scenario(
        name=name, effect=effect, runs=2000, ship=ship, keep=keep, inconclusive=unknown, standard_error=error,
        median_days=median,
    )  # fmt: skip


def operating() -> Operating:
    """What the test's rule does at 2,400 users a day."""
    return Operating(
        definition=the_definition(),
        units_per_day=2400.0,
        runs=2000,
        seed=7,
        scenarios=(
            scenario("no difference", "", (0.008, 0.41, 0.582), 0.002, None),
            scenario("worth having", "resolved 2 points higher", (0.843, 0.004, 0.153), 0.008, 4.3),
            scenario("harm", "error_rate 2 times", (0.0, 0.997, 0.003), 0.0012, 0.9),
        ),
        false_ship=0.008,
        power=0.843,
        needed_units=10_320,
        needed_days=4.3,
        notes=("Traffic is taken as even over the day.",),
    )


SAMPLES = {
    "ship": shipped,
    "keep": kept,
    "inconclusive": inconclusive,
    "broken split": broken_split,
    "bandit": bandit,
    "empty": empty,
}
"""Each kind of ending, and how to make it."""
