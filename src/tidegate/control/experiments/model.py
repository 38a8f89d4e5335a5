"""An experiment as values: what its author defines, and what is found. Times are in seconds in a definition, in Unix ms
where something happened.
"""

from typing import Literal, TypeAlias

import msgspec

from tidegate.control.gates.model import Gate, Verdict

__all__ = [
    "ANSWERS",
    "CALL_FIELDS",
    "Analysis",
    "Answer",
    "ArmReport",
    "Assignment",
    "Bandit",
    "BanditReport",
    "Contrast",
    "Cuped",
    "Decision",
    "Definition",
    "Experiment",
    "Happening",
    "Look",
    "Metric",
    "Operating",
    "Preview",
    "Scenario",
    "Shown",
    "SplitReport",
    "Started",
    "Variant",
]

Answer: TypeAlias = Literal["ship", "keep", "inconclusive"]
ANSWERS: tuple[Answer, ...] = ("ship", "keep", "inconclusive")

CALL_FIELDS = (
    "error",
    "refused",
    "cost_usd",
    "latency_ms",
    "ttft_ms",
    "tpot_ms",
    "input_tokens",
    "output_tokens",
)
"""The figures of a call. `error` is 1 when it ended as cut, timeout, blocked or failed and 0 when complete; neither it
nor the latency has a value when the client went away or we refused."""


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One arm. `prompt` and `version` go together, `model` is an alias or a model that is asked instead of the prompt's
    own. `weight_bp`: its units of 10,000; what all variants leave over is not in the experiment.
    """

    name: str
    weight_bp: int
    prompt: str | None = None
    version: str | None = None
    model: str | None = None


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What one unit is measured by.

    `source` call: `field` is one of the call record's figures (CALL_FIELDS); feedback: `field` is
    the name under which scores come in. A unit's value: `per_unit` of its calls' values (mean, sum, any, first); with
    `above`, whether that exceeds it, an event. `quantile` asks to freeze `above` at that quantile of the calls before
    the start.
    `shape` rate: one event a unit at most; mean: any number. `missing` zero: a unit without a value counts as 0;
    ignore: it has none. `baseline`, `sd` (of one unit) and `effect` (the least difference worth having, in the
    metric's unit) are what is expected, None when unknown. `method`: difference (means by windows) or ratio (exact,
    for rare events).
    """

    name: str
    source: Literal["call", "feedback"]
    field: str
    shape: Literal["rate", "mean"]
    better: Literal["higher", "lower"]
    per_unit: Literal["mean", "sum", "any", "first"] = "mean"
    above: float | None = None
    quantile: float | None = None
    missing: Literal["ignore", "zero"] = "ignore"
    baseline: float | None = None
    sd: float | None = None
    effect: float | None = None
    method: Literal["difference", "ratio"] = "difference"
    burn_in: int = 50
    unit: str = ""
    """What the numbers are in: ms, usd, tokens; empty for shares and scores."""


class Cuped(msgspec.Struct, frozen=True, kw_only=True):
    """The primary metric is adjusted by what the same unit showed of it in the `lookback_s` before the start."""

    lookback_s: int


class Bandit(msgspec.Struct, frozen=True, kw_only=True):
    """Weights follow what is learned: every `every_s` from all units judged so far (or in the last `memory_s`), each
    variant kept at `floor` or above. Its reward is the primary metric.
    """

    algorithm: Literal["thompson", "top-two"]
    floor: float = 0.1
    every_s: int = 600
    memory_s: int | None = None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment as it was defined; immutable once started. The first variant is the control.

    `subject`: `prompt:NAME` or the alias whose calls are in it. `unit`: user (the header x-tidegate-unit, else the
    body's `user`), request, or `tag:NAME`. A unit is judged once, `observe_s` after its first call: what it did until
    then counts, in the window of `window_s` in which that falls. `tags` and `keys` narrow who is in it. `rule` is the
    decision rule's text (rules/ reads it). `alpha` is two-sided. `units_per_day` is the traffic that is expected.
    """

    name: str
    environment: str
    subject: str
    variants: tuple[Variant, ...]
    metrics: tuple[Metric, ...]
    primary: str
    rule: str
    description: str = ""
    guardrails: tuple[Gate, ...] = ()
    on_breach: Literal["stop", "warn"] = "stop"
    unit: str = "user"
    salt: str = ""
    layer: str = ""
    tags: dict[str, str] = {}
    keys: tuple[str, ...] = ()
    observe_s: int = 0
    window_s: int = 3600
    duration_s: int = 604_800
    min_samples: int = 1000
    alpha: float = 0.05
    power: float = 0.8
    correction: Literal["holm", "bonferroni", "benjamini-hochberg", "none"] = "holm"
    cuped: Cuped | None = None
    bandit: Bandit | None = None
    units_per_day: float | None = None
    watched: tuple[Metric, ...] = ()
    """Metrics of guardrails that are none of `metrics`: measured like them, but no rule counts their wins."""

    @property
    def measured(self) -> tuple[Metric, ...]:
        """Every metric that has values: `metrics`, then `watched`."""
        return self.metrics + self.watched

    def metric(self, name: str) -> Metric:
        """The metric or the guardrail's metric of this name, which the definition has."""
        return next(one for one in self.measured if one.name == name)

    @property
    def treatments(self) -> tuple[Variant, ...]:
        """Every variant but the control."""
        return self.variants[1:]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The rule's answer. `variant` is the one to ship (the control for keep, None while open). `more_units` (of all
    variants together) and `about_days` say how much is still missing when open; None when that is unknown.
    """

    answer: Answer
    variant: str | None
    why: str
    more_units: int | None = None
    about_days: float | None = None


class Look(msgspec.Struct, frozen=True):
    """A contrast as it stood at one look: Unix ms, estimate and its interval; None while unknown."""

    at_ms: int
    estimate: float | None
    low: float | None
    high: float | None


class ArmReport(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: its weight of now (of 10,000), the share of the units so far that it was to get (None: as the
    weight), how many came and were judged, and each metric's mean (None: none yet).
    """

    variant: str
    weight_bp: int
    exposed: int
    judged: int
    means: dict[str, float | None]
    counted: dict[str, int]
    meant: float | None = None


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one treatment against the control. Estimate and interval are always valid and in the metric's unit
    (`scale` difference) or a ratio (`scale` ratio); `p` is two-sided and always valid, `p_adjusted` over the family.
    `relative` is the estimate as a share of the control's mean. `best` and `loss`: the posterior's probability that the
    treatment is better, and what is expected to be lost by shipping it if it is not; for display, never for decisions.
    """

    metric: str
    variant: str
    scale: Literal["difference", "ratio"]
    state: Literal["wins", "loses", "open"]
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    p: float
    p_adjusted: float
    relative: float | None
    best: float | None
    loss: float | None
    path: tuple[Look, ...]


class SplitReport(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the units came in the shares that were meant: `p` always valid; not `ok` below 0.001. `responders_p`: the
    same of the units that have a value of the primary metric, None when every unit has one."""

    ok: bool
    p: float
    responders_p: float | None


class BanditReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where a bandit stands: weights over time (Unix ms, of 10,000), each variant's posterior mean and interval, the
    reward lost so far against the best variant (estimated, in the metric's unit, all units together), and whether the
    leader may be declared best (generalised likelihood ratio, delta = alpha)."""

    weights: tuple[tuple[int, tuple[int, ...]], ...]
    posterior: tuple[tuple[float, float, float], ...]
    best: tuple[float, ...]
    weighted_means: tuple[tuple[float, float, float] | None, ...]
    regret: float | None
    regret_path: tuple[tuple[int, float], ...]
    leader: str
    may_stop: bool


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """Everything found at one look. `excluded` counts units by why they are left out; `warnings` are for people."""

    definition: Definition
    experiment_id: str
    state: str
    started_at_ms: int
    at_ms: int
    ended_at_ms: int | None
    days: float
    units: int
    units_per_day: float | None
    decision: Decision
    arms: tuple[ArmReport, ...]
    contrasts: tuple[Contrast, ...]
    guardrails: dict[str, Verdict]
    split: SplitReport
    excluded: dict[str, int]
    warnings: tuple[str, ...] = ()
    bandit: BanditReport | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """One run of an experiment as it is kept. `from_bp` to `to_bp` is its place in the layer; `weights_bp` are those of
    now, in the variants' order, of all units in it (10,000)."""

    experiment_id: str
    definition: Definition
    state: str
    salt: str
    from_bp: int
    to_bp: int
    weights_bp: tuple[int, ...]
    actor: str
    started_at_ms: int
    ended_at_ms: int | None = None
    decision: Decision | None = None


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a run: it was started, reweighed, stopped or decided; when (Unix ms) and by whom."""

    kind: Literal["started", "reweighed", "stopped", "decided"]
    at_ms: int
    actor: str
    detail: dict[str, object] = {}


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A run, and what happened to it, oldest first."""

    experiment: Experiment
    events: tuple[Happening, ...] = ()


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What would start: the definition with what the calls of the last days tell frozen in it, the new units a day that
    they show (None: no calls), and what its author should know.
    """

    definition: Definition
    units_per_day: float | None = None
    warnings: tuple[str, ...] = ()


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has just begun, and what its author should know."""

    experiment: Experiment
    warnings: tuple[str, ...] = ()


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit gets, or would get: its variant, None when it is not in the experiment (`why` says why), and the
    probability that it had to get this one. Asking enrols nobody.
    """

    experiment: str
    unit: str
    variant: str | None
    propensity: float | None = None
    prompt: str | None = None
    version: str | None = None
    model: str | None = None
    why: str = ""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What came of simulated runs of one kind: shares of runs by answer, their Monte Carlo standard error, and the
    median days to an answer (None when less than half had one)."""

    name: str
    effect: str
    runs: int
    ship: float
    keep: float
    inconclusive: float
    standard_error: float
    median_days: float | None


class Operating(msgspec.Struct, frozen=True, kw_only=True):
    """What a definition's rule does at a traffic: scenarios by simulation, the first of which is "no difference".

    `false_ship` is the share shipped of what is no better, `power` of what is better by the effect, None when no effect
    is known. Where the rule ships what does no harm (`ships_unwon`), `false_ship` is of what is at a guardrail's limit,
    and `power` of no difference.
    """

    definition: Definition
    units_per_day: float
    runs: int
    seed: int
    scenarios: tuple[Scenario, ...]
    false_ship: float
    power: float | None
    needed_units: int | None
    needed_days: float | None
    ships_unwon: bool = False
    notes: tuple[str, ...] = ()
