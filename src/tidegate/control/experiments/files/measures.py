"""What metrics and guardrails must hold beyond their shape."""

from collections.abc import Iterator
from difflib import get_close_matches

from tidegate.control.experiments.files.definitions import metric_of, metrics_of
from tidegate.control.experiments.files.metrics import EVENT_FIELDS, KNOWN, is_score
from tidegate.control.experiments.files.shape import ExperimentBlock, GuardrailBlock, MetricBlock
from tidegate.control.experiments.model import CALL_FIELDS, Metric
from tidegate.control.experiments.rules.grammar import RESERVED
from tidegate.kernel.documents import Document, Path
from tidegate.kernel.errors import Invalid, InvalidDocument
from tidegate.kernel.names import check_name

__all__ = ["Complaint", "check_guardrails", "check_metrics", "metric_complaints", "nearest"]

Found = Iterator[InvalidDocument]
Complaint = tuple[str, str, str]
"""The field, what is wrong, and the mend."""

ROOT = "experiment"
MOST_METRICS = 32


def check_metrics(document: Document, block: ExperimentBlock) -> Found:
    """Faults of `metrics` and of `primary`."""
    path: Path = (ROOT, "metrics")
    names = list(block.metrics)
    if not 1 <= len(names) <= MOST_METRICS:
        message = f"{len(names)} metrics are too many." if names else "There is no metric."
        yield document.fault(path, message, mend=f"Name 1 to {MOST_METRICS}.", code="metrics")
    for at, name in enumerate(names):
        place: Path = (*path, name) if isinstance(block.metrics, dict) else (*path, at)
        if name in names[:at]:
            yield document.fault(place, f"`{name}` stands twice.", mend="Take one out.", code="metrics")
        yield from _name(document, place, name)
    if isinstance(block.metrics, dict):
        for name, one in block.metrics.items():
            for field, message, mend in metric_complaints(name, one or MetricBlock()):
                yield document.fault((*path, name, field), f"`{name}`: {message}", mend=mend, code="metric")
    if block.primary is not None and block.primary not in names:
        message = f"The primary metric `{block.primary}` is none of `metrics`."
        mend = nearest(block.primary, tuple(names))
        yield document.fault((ROOT, "primary"), message, mend=mend, code="metric_not_found")


def check_guardrails(document: Document, block: ExperimentBlock) -> Found:
    """Faults of `guardrails`."""
    metrics = metrics_of(block)
    for name, one in block.guardrails.items():
        path: Path = (ROOT, "guardrails", name)
        metric = metrics.get(name) or KNOWN.get(name)
        if metric is None:
            message = f"The guardrail `{name}` is no known metric, and none of `metrics`."
            mend = nearest(name, (*metrics, *KNOWN))
            yield document.fault(path, message, mend=mend, code="metric_not_found")
            continue
        given = [field for field in ("ratio", "drop", "absolute") if getattr(one, field) is not None]
        if len(given) != 1:
            message = f"The guardrail `{name}` has {' and '.join(given) if given else 'no margin'}."
            mend = "Give one of `ratio`, `drop` and `absolute`."
            yield document.fault(path, message, mend=mend, code="guardrail_kind")
            continue
        for field, message, mend in (*_margin(metric, one), *_expected(metric, one, name in metrics)):
            yield document.fault(
                (*path, field), f"The guardrail `{name}`: {message}", mend=mend, code="guardrail_margin"
            )


def _name(document: Document, path: Path, name: str) -> Found:
    try:
        check_name("metric", name)
    except Invalid as error:
        yield document.fault(path, error.message, mend=error.mend, code=error.code)
    if name in RESERVED:
        mend = "Give it another name; `field` may keep this one."
        yield document.fault(path, f"`{name}` is a word of decision rules.", mend=mend, code="invalid_name")


def metric_complaints(name: str, block: MetricBlock) -> Iterator[Complaint]:
    """What a metric's block must not say."""
    if block.of is not None and block.of not in KNOWN:
        yield "of", f"there is no known metric `{block.of}`.", nearest(block.of, tuple(KNOWN))
        return
    metric = metric_of(name, block)
    yield from _source(metric, block)
    yield from _event(metric, block)
    yield from _numbers(metric, block)


def _source(metric: Metric, block: MetricBlock) -> Iterator[Complaint]:
    if metric.source == "call" and metric.field not in CALL_FIELDS:
        yield "field", f"a call's record has no `{metric.field}`.", nearest(metric.field, CALL_FIELDS)
    elif metric.source == "feedback" and block.field is not None:
        try:
            check_name("score", block.field)
        except Invalid as error:
            yield "field", error.message, error.mend


def _event(metric: Metric, block: MetricBlock) -> Iterator[Complaint]:
    """What makes a value an event, and what becomes of several."""
    bound = "above" if block.above is not None else "quantile" if block.quantile is not None else None
    if block.above is not None and block.quantile is not None:
        yield "quantile", "has `above` and `quantile`.", "Keep one of them."
    if block.quantile is not None and metric.source == "feedback":
        yield "quantile", "only figures of calls have a past to take a quantile of.", "Write `above`."
    if bound is not None and metric.field in EVENT_FIELDS and metric.source == "call":
        yield bound, f"`{metric.field}` is an event by itself.", f"Leave `{bound}` out."
    if block.shape == "mean" and bound is not None:
        yield "shape", f"what is counted by `{bound}` is a rate.", "Leave `shape` out."
    numeric = metric.source == "call" and metric.field not in EVENT_FIELDS
    if metric.shape == "rate" and numeric and metric.above is None and metric.quantile is None:
        yield "shape", f"`{metric.field}` is a number, of which no rate can be made.", "Add `above` or `quantile`."
    if metric.shape == "rate" and bound is None and metric.quantile is None and metric.per_unit in ("mean", "sum"):
        yield "per_unit", "a rate has one event a unit at most.", "Write any or first."
    if metric.shape == "mean" and metric.per_unit == "any":
        yield "per_unit", "`any` makes an event, and this is a mean.", "Write mean, sum or first, or `shape: rate`."
    if metric.shape == "mean" and metric.method == "ratio":
        yield "method", "ratios are of rates.", "Leave `method` out."


def _numbers(metric: Metric, block: MetricBlock) -> Iterator[Complaint]:
    baseline, effect = metric.baseline, metric.effect
    if metric.shape == "rate" and metric.sd is not None:
        yield "sd", "a rate's deviation follows from its baseline.", "Leave `sd` out."
    bounded = metric.shape == "rate" or is_score(metric)
    more = "" if metric.shape == "rate" else " Or give its `sd`, if it is no score from 0 to 1."
    if bounded and baseline is not None and not 0 <= baseline <= 1:
        yield "baseline", f"{baseline:g} does not lie between 0 and 1.", f"Write 5 % as 0.05.{more}"
    elif bounded and effect is not None and effect >= 1:
        yield "effect", f"{effect:g} is no difference between shares.", f"Write 5 % as 0.05.{more}"
    elif bounded and baseline is not None and effect is not None:
        reached = baseline + effect if metric.better == "higher" else baseline - effect
        if not 0 <= reached <= 1:
            message = f"the control has {baseline:g}, so that {effect:g} more would be {reached:g}."
            if metric.better == "lower":
                message = f"the control has {baseline:g}, so that {effect:g} less would be {reached:g}."
            yield "effect", message, "Make it smaller."


def _expected(metric: Metric, block: GuardrailBlock, listed: bool) -> Iterator[Complaint]:
    """What is expected of a metric stands in one place."""
    for field in ("baseline", "sd", "above"):
        if listed and getattr(block, field) is not None:
            yield field, "it is one of `metrics`, which say what is expected.", f"Move `{field}` there."
    if not listed and block.baseline is not None and metric.shape == "rate" and not 0 <= block.baseline <= 1:
        yield "baseline", f"{block.baseline:g} does not lie between 0 and 1.", "Write 5 % as 0.05."
    if not listed and block.above is not None and metric.quantile is None:
        yield "above", "only what exceeds a quantile has a threshold.", "Leave it out."
    if not listed and block.sd is not None and metric.shape == "rate":
        yield "sd", "a rate's deviation follows from its baseline.", "Leave `sd` out."


def _margin(metric: Metric, block: GuardrailBlock) -> Iterator[Complaint]:
    bounded = metric.shape == "rate" or is_score(metric)
    if block.ratio is not None and metric.better == "lower" and block.ratio <= 1:
        yield "ratio", f"lower is better, so that {block.ratio:g} times the control is no harm.", "Write it above 1."
    if block.ratio is not None and metric.better == "higher" and block.ratio >= 1:
        yield "ratio", f"higher is better, so that {block.ratio:g} times the control is no harm.", "Write it below 1."
    if block.drop is not None and bounded and block.drop >= 1:
        yield "drop", f"{block.drop:g} is more than there is of a share.", "Write 3 % as 0.03."
    if block.absolute is not None and bounded and not 0 < block.absolute < 1:
        yield "absolute", f"{block.absolute:g} does not lie between 0 and 1.", "Write 5 % as 0.05."


def nearest(name: str, known: tuple[str, ...]) -> str:
    """A mend that offers what may have been meant."""
    near = get_close_matches(name, known, n=2, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
