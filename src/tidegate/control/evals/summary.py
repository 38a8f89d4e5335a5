"""A run in figures: what passed, what failed, what it cost, and each metric with its interval."""

from collections.abc import Iterable, Mapping

from tidegate.control.evals.comparing.metrics import ERRORS, FIRM_PASSES, OWN, PASSES, is_share, unit_of
from tidegate.control.evals.comparing.results import Figures, figures
from tidegate.control.evals.model import Manifest, MetricSummary, Outcome, Summary
from tidegate.stats.proportions import wilson
from tidegate.stats.quantiles import quantile_interval
from tidegate.stats.results import Proportion, Sample
from tidegate.stats.tails import by_error

__all__ = ["summary_of", "summed_up"]

HALF = 0.5


def summary_of(manifest: Manifest, outcomes: Iterable[Outcome]) -> Summary:
    """Read a run's outcomes once, in any order, and sum them up. A case passes when at least half of the answers that
    count do (see `comparing.results` for which those are).
    """
    return summed_up(figures(manifest, outcomes))


def summed_up(found: Figures) -> Summary:
    """The summary of a run that was read."""
    passes, manifest = found.outcome_of, found.manifest
    passed = sum(one >= HALF for one in passes.values())
    ended = manifest.ended_at_ms
    return Summary(
        manifest=manifest,
        cases=len(found.ids),
        passed=passed,
        failed=len(passes) - passed,
        errored=found.errored,
        errors=dict(sorted(found.errors.items(), key=lambda one: (-one[1], one[0]))),
        unstable=found.unstable,
        paid=found.paid,
        cached=found.cached,
        cost_nano_usd=found.now.total,
        judge_cost_nano_usd=found.judges.total if found.judged else None,
        full_cost_nano_usd=found.whole.total,
        duration_s=float("nan") if ended is None else (ended - manifest.started_at_ms) / 1000,
        metrics=tuple(_metric(name, found) for name in _in_order(found.values)),
    )


def _in_order(values: Mapping[str, object]) -> list[str]:
    """Passes and errors first, then scores as they came, then costs and times."""
    first = [one for one in (PASSES, ERRORS) if one in values]
    last = [one for one in OWN if one in values and one not in (*first, FIRM_PASSES)]
    scores = [one for one in values if one not in OWN and not (is_share(one) and one.rpartition(".")[0] in values)]
    return [*first, *scores, *last]


def _metric(name: str, found: Figures) -> MetricSummary:
    values = list(found.values[name].values())
    n = len(values)
    mean = sum(values) / n
    low = high = None
    if is_share(name) and all(one in (0.0, 1.0) for one in values):
        interval = wilson(Proportion(sum(values), n))
        low, high = float(interval.low), float(interval.high)
    elif n > 1:
        sample = Sample.of(values)
        around = by_error(sample.mean, sample.sd / n**0.5, float(n - 1), "two-sided", 0.95, "t").interval
        low, high = float(around.low), float(around.high)
    quantiles: tuple[float | None, ...] = (None, None, None)
    if not is_share(name):
        quantiles = tuple(quantile_interval(values, q).estimate for q in (0.5, 0.95, 0.99))
    return MetricSummary(
        metric=name,
        n=n,
        unknown=len(found.ids) - n,
        mean=mean,
        low=low,
        high=high,
        p50=quantiles[0],
        p95=quantiles[1],
        p99=quantiles[2],
        unit=unit_of(name),
    )
