"""The phrases that every report of a gate is said in: rules, figures, answers, and why."""

from collections.abc import Sequence
from types import MappingProxyType

from tidegate.control.evals.comparing.metrics import (
    COST,
    ERRORS,
    FIRM_PASSES,
    LATENCY,
    PASSES,
    SCORER_PASSES,
    is_share,
    unit_of,
)
from tidegate.control.evals.model import Bound, Finding, Quality, ScorerUse
from tidegate.kernel.figures import about_text, count_text, fixed_text, p_text
from tidegate.kernel.plain import plain
from tidegate.kernel.scales import NUMBER, PERCENT, TIMES, UNKNOWN, Scale, known

__all__ = [
    "ANSWER_WORDS",
    "allowed_text",
    "difference_text",
    "finding_sentence",
    "level_cell",
    "metric_text",
    "more_text",
    "name_of",
    "quality_text",
    "reason_text",
    "rule_text",
    "scale_of",
]

ANSWER_WORDS = MappingProxyType({"pass": "pass", "warn": "warn", "block": "block", "inconclusive": "not known"})
_NAMES = MappingProxyType(
    {
        ERRORS: "error rate",
        PASSES: "pass rate",
        FIRM_PASSES: "pass rate of what may block",
        COST: "cost per query",
        LATENCY: "latency",
        "input_tokens": "input tokens",
        "output_tokens": "output tokens",
    }
)
_USD = Scale(1.0, "$", "", "")


def metric_text(metric: str, statistic: str = "mean") -> str:
    """What a metric is called: `pass rate`, `P99 latency`, `faithfulness`."""
    if metric.endswith(SCORER_PASSES):
        return f"share that {plain(metric.removesuffix(SCORER_PASSES))} passes"
    name = _NAMES.get(metric) or plain(metric)
    return name if statistic == "mean" else f"{statistic.upper()} {name}"


def name_of(bound: Bound) -> str:
    """What a rule is about."""
    return metric_text(bound.metric, bound.statistic)


def scale_of(metric: str) -> Scale:
    """In what a metric's values are said."""
    unit = unit_of(metric)
    if is_share(metric):
        return PERCENT
    if unit == "usd":
        return _USD
    return Scale(1.0, "", f" {unit}", f" {unit}") if unit else NUMBER


def allowed_text(bound: Bound) -> str:
    """What a rule allows: `at most 3 points lower`, `at most 1.2 times`, `at least 95%`."""
    scale = scale_of(bound.metric)
    if bound.kind == "drop":
        way = "lower" if bound.better == "higher" else "higher"
        return f"at most {scale.exact(bound.margin, apart=True)} {way}"
    if bound.kind == "ratio":
        return f"at {'most' if bound.better == 'lower' else 'least'} {TIMES.exact(bound.margin)} the baseline's"
    return f"at {bound.kind} {scale.exact(bound.margin)}"


def rule_text(bound: Bound) -> str:
    """A rule in a few words: `pass rate at most 3 points lower`."""
    return f"{name_of(bound)} {allowed_text(bound)}"


def level_cell(finding: Finding, value: float | None) -> str:
    """A value for a table: `94.2%`, `$0.00041`, `1,204 ms`; `-`."""
    found = known(value)
    if found is None:
        return "-"
    unit = unit_of(finding.bound.metric)
    if is_share(finding.bound.metric):
        return f"{fixed_text(found * 100, 2 if finding.pairs > 2000 else 1)}%"
    if unit in ("ms", "tokens"):
        return f"{fixed_text(found, 0 if found >= 100 else 1)} {unit}"
    return f"{found:.3f}" if not unit else scale_of(finding.bound.metric).level(found)


def difference_text(finding: Finding) -> str:
    """What a rule compares, with its interval: `-2.4 points (-4.5 to -0.4)`, `1.18 times (1.15 to 1.21)`."""
    bound = finding.bound
    figures = (finding.estimate, finding.low, finding.high)
    if bound.kind == "ratio":
        text = TIMES.cell(*figures)
    elif bound.kind == "drop":
        text = scale_of(bound.metric).cell(*figures)
    else:
        text = scale_of(bound.metric).level_cell(*figures)
    return "-" if text == UNKNOWN else text


def more_text(finding: Finding) -> str:
    """How many more cases it takes: `about 1,200 more cases`; that nobody can tell."""
    if finding.more_cases is None:
        return "how many cases it takes cannot be told"
    if finding.more_cases > 100:
        return f"about {about_text(finding.more_cases)} more cases are needed"
    return "1 more case is needed" if finding.more_cases == 1 else f"{finding.more_cases} more cases are needed"


def reason_text(finding: Finding) -> str:
    """Why a finding is what it is, in a few words."""
    bound, said = finding.bound, []
    if finding.answer == "inconclusive":
        said.append(_undecided(finding))
    elif finding.answer == "pass":
        said.append("surely within what is allowed")
    elif bound.kind in ("most", "least"):
        said.append("surely beyond what is allowed")
    else:
        p = "" if finding.p_worse is None else f" ({p_text(finding.p_worse)})"
        said.append(f"worse, hardly by chance{p}, and by more than is allowed")
    if finding.why:
        said.append(finding.why)
    return "; ".join(filter(None, said))


def finding_sentence(finding: Finding) -> str:
    """A finding in a sentence."""
    bound = finding.bound
    what, allowed = _capital(name_of(bound)), allowed_text(bound)
    if finding.estimate is None or (finding.low is None and finding.high is None):
        tail = f"; {more_text(finding)}" if finding.more_cases is not None else ""
        return f"{what} ({allowed}): {finding.why or 'nothing is known'}{tail}."
    figures = (finding.estimate, finding.low, finding.high)
    scale = TIMES if bound.kind == "ratio" else scale_of(bound.metric)
    found = difference_text(finding) if bound.kind in ("most", "least") else scale.apart_text(*figures, "the baseline")
    tail = "" if finding.answer != "inconclusive" else f"; {more_text(finding)}"
    why = f" ({finding.why})" if finding.why else ""
    return f"{what} is {found}, allowed is {allowed}{tail}{why}."


def _undecided(finding: Finding) -> str:
    if finding.estimate is None or (finding.low is None and finding.high is None):
        return more_text(finding) if finding.more_cases is not None else ""
    bound, estimate = finding.bound, finding.estimate
    if bound.kind in ("most", "least"):
        beyond = estimate > bound.margin if bound.kind == "most" else estimate < bound.margin
    elif bound.kind == "ratio":
        beyond = estimate >= bound.margin if bound.better == "lower" else estimate <= bound.margin
    else:
        beyond = (estimate if bound.better == "lower" else -estimate) >= bound.margin
    where = "beyond what is allowed, perhaps by chance" if beyond else "within what is allowed, perhaps by chance"
    return f"{where}: {more_text(finding)}"


def quality_text(use: ScorerUse | None) -> str:
    """What a scorer is worth: its best measured agreement with people; empty for our own metrics."""
    if use is None:
        return ""
    if use.exact:
        return "a fact"
    best = _best(use.quality)
    if best is None:
        return "not measured: may only warn"
    gain = ""
    if best.gain is not None and best.baseline:
        ends = "" if best.gain_low is None else f" ({best.gain_low:+.2f} to {best.gain_high or 0:+.2f})"
        gain = f", {best.gain:+.2f}{ends} over {plain(best.baseline)}"
    may = "" if use.may_block else ": may only warn"
    measure = "AUROC" if best.measure == "auroc" else best.measure
    of = f"{count_text(best.n)} of {plain(best.data)}"
    return f"{measure} {best.value:.2f} ({best.low:.2f} to {best.high:.2f}, {of}){gain}{may}"


def _best(quality: Sequence[Quality]) -> Quality | None:
    """The most convincing figure; else the first."""
    return max(quality, key=lambda one: (one.convincing, one.gain_low or float("-inf")), default=None)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
