"""One rule, one answer. Each side is decided at 5%, so the interval shown is the one at 90%.

Against a baseline: `pass` when harm is surely below the margin (the interval ends before it); `block` when harm is
proven (the interval excludes none) and its estimate has reached the margin. A candidate's own value: `pass` when the
interval lies within the bound, `block` when it lies beyond. Else `inconclusive`, with how many more cases it takes.

A bootstrap knows only what it saw, and twenty pairs without a difference would be a proof. So what is to pass must pass
with one case more, the worst that can be (1 less in a score): with no difference in n pairs the interval then ends at
about 3 / n, as it does by the rule of three.
"""

from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from tidegate.control.evals.comparing import sizes
from tidegate.control.evals.comparing.pairing import Names, Own, Paired
from tidegate.control.evals.model import Answer, Bound
from tidegate.stats import matched
from tidegate.stats.checks import Floats
from tidegate.stats.proportions import Pairs, clopper_pearson, mcnemar, mcnemar_mid_p
from tidegate.stats.quantiles import Clustered, clustered_quantile_interval, quantile_interval
from tidegate.stats.results import Interval, Proportion

__all__ = ["ALPHA", "LEAST", "LEVEL", "Found", "own_answer", "paired_answer"]

ALPHA = 0.05
LEVEL = 1 - 2 * ALPHA
LEAST = 20
"""With fewer units no bootstrap is believed."""
SEED = 20_261_124
QUANTILES = MappingProxyType({"p95": 0.95, "p99": 0.99})


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of a rule, in the metric's own direction."""

    answer: Answer
    baseline: float | None
    candidate: float | None
    estimate: float | None
    low: float | None
    high: float | None
    test: str
    p_worse: float | None = None
    more: int | None = None
    why: str = ""


def paired_answer(bound: Bound, pairs: Paired) -> Found:
    """The answer to a rule against a baseline."""
    if bound.statistic != "mean":
        return _quantile_ratio(bound, pairs)
    return _drop(bound, pairs) if bound.kind == "drop" else _ratio(bound, pairs)


def own_answer(bound: Bound, own: Own, baseline: Own | None = None) -> Found:
    """The answer to a rule on the candidate's own value; that of a `baseline` stands beside it and decides nothing."""
    if bound.statistic != "mean":
        found = _own_quantile(bound, own)
        beside = None if baseline is None else quantile_interval(baseline.values, QUANTILES[bound.statistic]).estimate
    else:
        found = _own_share(bound, own) if own.yes_or_no else _own_mean(bound, own)
        beside = None if baseline is None else float(baseline.values.mean())
    return replace(found, baseline=beside)


# ------------------------------------------------------------------------------------------- against a baseline


def _drop(bound: Bound, pairs: Paired) -> Found:
    before, after = pairs.baseline.values, pairs.candidate.values
    sign = 1.0 if bound.better == "lower" else -1.0
    harms = sign * (after - before)
    means = float(before.mean()), float(after.mean())
    if pairs.yes_or_no:
        interval, p = _tango(harms, before)
        test = "McNemar's test (mid-p) and Tango's interval"
    elif pairs.units < LEAST:
        return _too_few(means, means[1] - means[0], pairs.units, "sign permutation and BCa bootstrap")
    else:
        interval, p = _bootstrapped(harms, pairs.clusters, bounded=pairs.candidate.bounded)
        test = "sign permutation and BCa bootstrap" + _by_groups(pairs.clusters)
    harm, low, high = float(harms.mean()), float(interval.low), float(interval.high)
    answer = _against(harm, (low, high), p, bound.margin)
    needed = None
    if answer == "inconclusive":
        least = sizes.for_none(bound.margin) if harm < bound.margin and pairs.candidate.bounded else 0.0
        wanted = sizes.for_drop(harm, bound.margin, _sd(harms, pairs.clusters))
        needed = None if wanted is None else max(wanted, least)
    ends = (low, high) if sign > 0 else (-high, -low)
    more = sizes.more(_in_cases(needed, pairs), len(before))
    return Found(answer, *means, sign * harm, *ends, test, p, more)


def _tango(harms: Floats, before: Floats) -> tuple[Interval, float]:
    """Of yes and no: harm is the difference that the treatment has more, so worse is `treatment only`."""
    worse, better = int(np.count_nonzero(harms > 0)), int(np.count_nonzero(harms < 0))
    table = Pairs(len(before) - worse - better, better, worse, 0)
    return mcnemar(table, level=LEVEL).interval, float(mcnemar_mid_p(table, alternative="greater"))


def _bootstrapped(harms: Floats, clusters: Names | None, *, bounded: bool) -> tuple[Interval, float]:
    plain = _mean(harms, clusters)
    low, high = float(plain.low), float(plain.high)
    if bounded:
        high = max(high, float(_mean_with(harms, clusters, 1.0).high))
    sums = harms if clusters is None else matched.cluster_sums((harms,), clusters)[0][0]
    p = float(matched.sign_flips(sums, _generator(), alternative="greater").p_value)
    return Interval(np.asarray(low), np.asarray(high), LEVEL), p


def _ratio(bound: Bound, pairs: Paired) -> Found:
    before, after = pairs.baseline.values, pairs.candidate.values
    means = float(before.mean()), float(after.mean())
    test = "paired BCa bootstrap of the ratio of means" + _by_groups(pairs.clusters)
    if means[0] <= 0 or before.min() < 0:
        why = "the baseline's is 0, so there is no ratio: bound the difference or the candidate's own value"
        return Found("inconclusive", *means, None, None, None, test, why=why)
    ratio = means[1] / means[0]
    if pairs.units < LEAST:
        return _too_few(means, ratio, pairs.units, test)
    if np.count_nonzero(before) < LEAST:
        why = f"fewer than {LEAST} cases of the baseline have any: bound the difference or the candidate's own value"
        return Found("inconclusive", *means, ratio, None, None, test, why=why)
    interval = matched.ratio_bootstrap((before, after), _generator(), clusters=pairs.clusters, level=LEVEL)
    low, high = float(interval.low), float(interval.high)
    if pairs.candidate.bounded:
        low, high = _ratio_with_worst(bound, pairs, (low, high))
    rests = after - ratio * before
    sums = after - before if pairs.clusters is None else matched.cluster_sums((after - before,), pairs.clusters)[0][0]
    side = "greater" if bound.better == "lower" else "less"
    p = float(matched.sign_flips(sums, _generator(), alternative=side).p_value)
    return _of_ratio(bound, pairs, (means, ratio, (low, high)), (p, _sd(rests, pairs.clusters) / means[0], test))


def _ratio_with_worst(bound: Bound, pairs: Paired, ends: tuple[float, float]) -> tuple[float, float]:
    """The end on the side of harm, with the worst case that can be."""
    worst = 1.0 if bound.better == "lower" else 0.0
    before, clusters = _with_one(pairs.baseline.values, pairs.clusters, 1 - worst)
    after, _ = _with_one(pairs.candidate.values, pairs.clusters, worst)
    wide = matched.ratio_bootstrap((before, after), _generator(), clusters=clusters, corrected=False, level=LEVEL)
    if bound.better == "lower":
        return ends[0], max(ends[1], float(wide.high))
    return min(ends[0], float(wide.low)), ends[1]


def _quantile_ratio(bound: Bound, pairs: Paired) -> Found:
    q = QUANTILES[bound.statistic]
    before, after = pairs.baseline.values, pairs.candidate.values
    both = quantile_interval(before, q).estimate, quantile_interval(after, q).estimate
    test = f"paired bootstrap of the ratio of {bound.statistic.upper()}s" + _by_groups(pairs.clusters)
    if both[0] <= 0:
        return Found("inconclusive", *both, None, None, None, test, why="the baseline's is 0, so there is no ratio")
    ratio = both[1] / both[0]
    needed = sizes.for_none(1 - q)
    if pairs.units < needed or float(np.quantile(before, q / 2)) <= 0:
        why = f"a {bound.statistic.upper()} takes {int(np.ceil(needed))} cases"
        return Found("inconclusive", *both, ratio, None, None, test, None, sizes.more(needed, pairs.units), why)
    interval = matched.quantile_ratio_bootstrap((before, after), q, _generator(), clusters=pairs.clusters, level=LEVEL)
    low, high = float(interval.low), float(interval.high)
    sd = np.log(high / low) / (2 * sizes.Z_ALPHA) * np.sqrt(pairs.units) * ratio if low > 0 else np.nan
    return _of_ratio(bound, pairs, (both, ratio, (low, high)), (None, float(sd), test))


def _of_ratio(
    bound: Bound,
    pairs: Paired,
    seen: tuple[tuple[float, float], float, tuple[float, float]],
    judged: tuple[float | None, float, str],
) -> Found:
    """The answer to a ratio: harm is what it is above 1 (below 1, where more is better)."""
    both, ratio, (low, high) = seen
    p, sd, test = judged
    sign = 1.0 if bound.better == "lower" else -1.0
    harm, margin = sign * (ratio - 1), sign * (bound.margin - 1)
    ends = (low - 1, high - 1) if sign > 0 else (1 - high, 1 - low)
    answer = _against(harm, ends, p, margin)
    more = None
    if answer == "inconclusive":
        more = sizes.more(_in_cases(sizes.for_drop(harm, margin, sd), pairs), len(pairs.candidate.values))
    return Found(answer, *both, ratio, low, high, test, p, more)


def _against(harm: float, ends: tuple[float, float], p: float | None, margin: float) -> Answer:
    if ends[1] < margin:
        return "pass"
    proven = ends[0] > 0 and (p is None or p < ALPHA)
    return "block" if proven and harm >= margin else "inconclusive"


# ------------------------------------------------------------------------------------------- own values


def _own_share(bound: Bound, own: Own) -> Found:
    events, n = float(own.values.sum()), len(own.values)
    interval = clopper_pearson(Proportion(events, n), level=LEVEL)
    share = events / n
    answer = _within(bound, float(interval.low), float(interval.high))
    more = sizes.more(sizes.for_share(share, bound.margin), n) if answer == "inconclusive" else None
    return _own_found(bound, answer, share, interval, "Clopper and Pearson's interval", more)


def _own_mean(bound: Bound, own: Own) -> Found:
    mean = float(own.values.mean())
    test = "BCa bootstrap of the mean" + _by_groups(own.clusters)
    if own.units < LEAST:
        return _too_few((None, mean), mean, own.units, test)
    plain = _mean(own.values, own.clusters)
    low, high = float(plain.low), float(plain.high)
    if own.bounded:
        above, below = (_mean_with(own.values, own.clusters, one) for one in (1.0, 0.0))
        low, high = min(low, float(below.low)), max(high, float(above.high))
    answer = _within(bound, low, high)
    more = None
    if answer == "inconclusive":
        needed = sizes.for_mean(mean - bound.margin, _sd(own.values, own.clusters))
        if needed is not None and own.clusters is not None:
            needed *= len(own.values) / own.units
        more = sizes.more(needed, len(own.values))
    return _own_found(bound, answer, mean, Interval(np.asarray(low), np.asarray(high), LEVEL), test, more)


def _own_quantile(bound: Bound, own: Own) -> Found:
    q = QUANTILES[bound.statistic]
    if own.clusters is None:
        found = quantile_interval(own.values, q, level=LEVEL)
        test = f"exact interval of the {bound.statistic.upper()}"
    else:
        found = clustered_quantile_interval(Clustered(own.values, own.clusters), q, level=LEVEL)
        test = f"interval of the {bound.statistic.upper()}{_by_groups(own.clusters)}"
    answer = _within(bound, float(found.interval.low), float(found.interval.high))
    more = None
    if answer == "inconclusive":
        # the rule is about the share of cases beyond the bound
        beyond = float(np.mean(own.values > bound.margin))
        needed = sizes.for_share(beyond, 1 - q)
        more = sizes.more(needed, len(own.values))
    return _own_found(bound, answer, found.estimate, found.interval, test, more)


def _own_found(bound: Bound, answer: Answer, value: float, interval: Interval, test: str, more: int | None) -> Found:
    ends = (_finite(float(interval.low)), _finite(float(interval.high)))
    return Found(answer, None, value, value, *ends, test, None, more)


def _within(bound: Bound, low: float, high: float) -> Answer:
    if bound.kind == "most":
        return "pass" if high <= bound.margin else "block" if low > bound.margin else "inconclusive"
    return "pass" if low >= bound.margin else "block" if high < bound.margin else "inconclusive"


# ------------------------------------------------------------------------------------------- what both need


def _mean(values: Floats, clusters: Names | None) -> Interval:
    return matched.mean_bootstrap(values, _generator(), clusters=clusters, level=LEVEL)


def _mean_with(values: Floats, clusters: Names | None, one: float) -> Interval:
    """The interval with one value more. BCa would make too much of it: this one ends at 3 / n as it should."""
    more, names = _with_one(values, clusters, one)
    return matched.mean_bootstrap(more, _generator(), clusters=names, corrected=False, level=LEVEL)


def _with_one(values: Floats, clusters: Names | None, one: float) -> tuple[Floats, Names | None]:
    """The values with one more, a group of its own."""
    return np.append(values, one), None if clusters is None else np.append(clusters, clusters.max() + 1)


def _generator() -> np.random.Generator:
    """The same draws each time: a gate that is asked twice says the same."""
    return np.random.default_rng(SEED)


def _sd(values: Floats, clusters: Names | None) -> float:
    """The standard deviation of one unit's mean, so that its square over the units is the mean's variance."""
    if clusters is None:
        return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
    (sums,), sizes_of = matched.cluster_sums((values - values.mean(),), clusters)
    return float((sums / sizes_of.mean()).std(ddof=1))


def _in_cases(needed: float | None, pairs: Paired) -> float | None:
    """Units that are needed, as cases: with groups each brings some."""
    return None if needed is None else needed * len(pairs.candidate.values) / pairs.units


def _too_few(means: tuple[float | None, float], estimate: float, units: int, test: str) -> Found:
    why = f"fewer than {LEAST} cases tell nothing of how much they vary"
    return Found("inconclusive", *means, estimate, None, None, test, None, max(1, LEAST - units), why)


def _by_groups(clusters: Names | None) -> str:
    return "" if clusters is None else ", by groups"


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
