"""Evaluations as values: cases, answers, scores, what a scorer is worth, and what is found of two versions side by
side. Money in nano-dollars, times in ms; None means unknown, never 0.
"""

from typing import Any, Literal, TypeAlias

import msgspec

__all__ = [
    "ANSWERS",
    "Answer",
    "AnswerKey",
    "Bound",
    "Case",
    "CaseDiff",
    "Comparison",
    "Finding",
    "Manifest",
    "MetricSummary",
    "Outcome",
    "Quality",
    "Recorded",
    "Sample",
    "Score",
    "ScorerUse",
    "Summary",
    "Verdict",
]

Answer: TypeAlias = Literal["pass", "warn", "block", "inconclusive"]
ANSWERS: tuple[Answer, ...] = ("pass", "warn", "inconclusive", "block")
"""From the best to the worst: a verdict is the worst of its findings."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case of a dataset, a line of JSON. `variables` fill the prompt; `expected` is what scorers compare with;
    `context` is the evidence that an answer must be faithful to (None: the variable `context`, where there is one).
    `checks` are scorers of this case alone, beside those of the run. `weight`s do not exist: cases count alike.
    """

    id: str
    variables: dict[str, Any] = {}
    expected: Any = None
    context: str | None = None
    checks: tuple[dict[str, Any], ...] = ()
    tags: dict[str, str] = {}
    line: int = 0


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """What one scorer says of one answer: a `value` (for quality in 0..1, higher is better) and whether it `passed`
    (None: the scorer has no threshold). `error` is the code of why there is no value; such a score counts nowhere, and
    is counted. `why` is a sentence or a quotation for people. `cost_nano_usd`: what a judge's calls cost.
    """

    value: float | None = None
    passed: bool | None = None
    why: str = ""
    error: str | None = None
    cost_nano_usd: int | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One answer to one case: a line of results.jsonl. Either `text` or `error` (the code of a provider's or our own
    error, which is an outcome of its own and never a score). `repeat` counts from 0; `cached`: nothing was paid now.
    `key` is the answer's content key. `passed`: every scorer with a threshold passed (None: an error, or none has one).
    """

    case_id: str
    repeat: int
    key: str
    text: str | None = None
    error: str | None = None
    error_message: str = ""
    finish_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None
    latency_ms: float | None = None
    cached: bool = False
    scores: dict[str, Score] = {}
    passed: bool | None = None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What a scorer is given: the case, the question as it was put (the last user message), and the answer."""

    case: Case
    question: str
    context: str | None
    answer: str
    outcome: Outcome


class AnswerKey(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer depends on: its SHA-256 over this, in JSON with sorted keys, is the key of the cache. Two cases
    that ask the same share an answer, and differ in their scores.
    """

    content_hash: str
    model: str
    messages: tuple[dict[str, Any], ...]
    text: str | None
    settings: dict[str, Any]
    repeat: int


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What a scorer is worth: its agreement with human labels on named data. `measure` is auroc, kappa, accuracy or
    spearman; `low` and `high` are the 95% interval; `baseline` and `gain` (scorer minus baseline, with interval) tell a
    simple rival. `data` names the source with its commit. A scorer whose gain's interval does not exclude 0, or that
    has no such figure, may warn and never block.
    """

    measure: Literal["auroc", "kappa", "accuracy", "spearman"]
    value: float
    low: float
    high: float
    n: int
    data: str
    baseline: str = ""
    baseline_value: float | None = None
    gain: float | None = None
    gain_low: float | None = None
    gain_high: float | None = None
    measured: str = ""
    """When: an ISO date."""

    @property
    def convincing(self) -> bool:
        """Whether the scorer beats its baseline with an interval that excludes 0."""
        return self.gain_low is not None and self.gain_low > 0


class ScorerUse(msgspec.Struct, frozen=True, kw_only=True):
    """One scorer of a run: `name@version`, its settings, and what it is worth. `exact` ones compute a fact (equality,
    a regular expression, a schema, latency, cost) and need no calibration."""

    name: str
    version: str
    settings: dict[str, Any] = {}
    better: Literal["higher", "lower"] = "higher"
    exact: bool = False
    quality: tuple[Quality, ...] = ()

    @property
    def may_block(self) -> bool:
        """Whether its findings may block."""
        return self.exact or any(one.convincing for one in self.quality)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is: written before its first answer, and again at its end. `target` is NAME@VERSION, or what else was
    asked (`python:FILE:FUNCTION`). `fingerprint` is the SHA-256 of all that must be the same for it to be resumed.
    """

    run_id: str
    target: str
    prompt: str | None
    version: str | None
    content_hash: str
    model: str
    dataset: str
    dataset_sha256: str
    cases: int
    scorers: tuple[ScorerUse, ...]
    repeats_max: int
    repeats_policy: Literal["unstable-only", "always"]
    fingerprint: str
    started_at_ms: int
    ended_at_ms: int | None = None
    state: Literal["running", "complete", "partial"] = "running"
    why: str = ""
    """Of a partial run: what ended it (max_cost, cost_unknown, deadline, interrupted, failed)."""
    upstream: str = ""
    """Who answers behind `model`: upstream models, by name."""
    concurrency: int = 1
    """So many answers at most can be asked for a second time after a kill -9."""


class MetricSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over the cases (a case with repeats counts once: see `comparing.results` for which answers count).
    `low` and `high`: 95% interval of the mean (a rate: Wilson). `n` cases have a value, `unknown` have none. `unit`:
    usd, ms, tokens; empty for scores.
    """

    metric: str
    n: int
    unknown: int
    mean: float | None
    low: float | None
    high: float | None
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    unit: str = ""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A run in figures. `errors` by code; `unstable` cases changed their answer between repeats; `paid` answers were
    asked for now, `cached` were not. Costs: of the answers (as paid now), of the judges, and of all answers as if none
    had been cached."""

    manifest: Manifest
    cases: int
    passed: int
    failed: int
    errored: int
    errors: dict[str, int]
    unstable: int
    paid: int
    cached: int
    cost_nano_usd: int | None
    judge_cost_nano_usd: int | None
    full_cost_nano_usd: int | None
    duration_s: float
    metrics: tuple[MetricSummary, ...]


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a gate. `kind`: drop (candidate at most `margin` worse than the baseline, in the metric's unit),
    ratio (at most, or for better=higher at least, `margin` times the baseline), most and least (the candidate's own
    value). `statistic`: mean, or a quantile such as p99. Not `block`: a breach warns.
    """

    metric: str
    kind: Literal["drop", "ratio", "most", "least"]
    margin: float
    statistic: Literal["mean", "p95", "p99"] = "mean"
    better: Literal["higher", "lower"] = "higher"
    block: bool = True


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one rule. `estimate` with `low` and `high` (level `level`) is of what the rule compares;
    `pairs` are the cases that both versions answered (of an own value: the candidate's). `test` names the method.
    `p_worse` is the p-value of "no worse". `more_cases` is how many more are needed for an answer, None when unknown or
    when there is one. `weakened`: it would block, and may only warn (`why` says what for).
    """

    bound: Bound
    answer: Answer
    baseline: float | None
    candidate: float | None
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    p_worse: float | None
    pairs: int
    test: str
    more_cases: int | None = None
    weakened: bool = False
    why: str = ""


class CaseDiff(msgspec.Struct, frozen=True, kw_only=True):
    """One case side by side. `change`: what became of its passing."""

    case_id: str
    change: Literal["regressed", "improved", "same", "unknown"]
    baseline: Outcome | None
    candidate: Outcome | None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate against a baseline, case by case on the same dataset (baseline None: its own values alone).
    `unjudged` names rules that were left out, with why; `notes` say what to know before believing the figures.
    """

    candidate: Summary
    baseline: Summary | None
    findings: tuple[Finding, ...]
    regressed: int
    improved: int
    same: int
    unknown: int
    unjudged: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The gate's answer: the worst of its findings, and why. What a rollout's offline stage asks for. `model`: the
    alias that was asked instead of the version's own; empty for its own.
    """

    answer: Answer
    why: str
    prompt: str | None
    version: str | None
    content_hash: str
    baseline_version: str | None
    dataset_sha256: str
    findings: tuple[Finding, ...]
    at_ms: int = 0
    model: str = ""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that control keeps: by whom and when (Unix ms, the database's clock) it was handed in."""

    eval_id: str
    actor: str
    at_ms: int
    verdict: Verdict
