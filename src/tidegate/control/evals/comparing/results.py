"""A run as figures: one value for each case and metric, whatever the answers weigh. Texts are read again where shown.

Which answers count: with repeats `always`, the mean of a case's answers. With `unstable-only` the first one alone:
whether a second is asked for depends on the first, so their mean would tell too much good of a case. (A case that
passes 19 times of 20 is asked again when it fails; its mean would be 0.987.) Repeats then tell what is unstable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.control.evals.comparing.metrics import ERRORS, PASSES, figures_of, is_firm
from tidegate.control.evals.model import Manifest, Outcome

__all__ = ["Figures", "Paid", "figures"]


@dataclass(slots=True)
class Paid:
    """What answers cost: `nano_usd` of those known, and whether one is not known."""

    nano_usd: int = 0
    unknown: bool = False

    def add(self, cost: int | None) -> None:
        """Count one answer's cost."""
        self.nano_usd += cost or 0
        self.unknown = self.unknown or cost is None

    @property
    def total(self) -> int | None:
        """All of it; None when one is not known."""
        return None if self.unknown else self.nano_usd


@dataclass(slots=True)
class Figures:
    """A run as figures. `values`: by metric, by case. `weak` scorers took part in passing and may not block; `firm`:
    some that may block did. `groups`: what a case belongs to, where cases are alike (the tag `group`).
    """

    manifest: Manifest
    ids: dict[str, None] = field(default_factory=dict)
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    unstable: int = 0
    paid: int = 0
    cached: int = 0
    now: Paid = field(default_factory=Paid)
    whole: Paid = field(default_factory=Paid)
    judges: Paid = field(default_factory=Paid)
    judged: bool = False
    weak: set[str] = field(default_factory=set)
    firm: bool = False
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome_of(self) -> Mapping[str, float]:
        """By case, the share of its answers that passed."""
        return self.values.get(PASSES, {})

    @property
    def errored(self) -> int:
        """Cases without any answer."""
        return sum(one == 1 for one in self.values.get(ERRORS, {}).values())


def figures(manifest: Manifest, outcomes: Iterable[Outcome], groups: Mapping[str, str] | None = None) -> Figures:
    """Read a run once, in any order of its lines; `groups` by case."""
    found = Figures(manifest, groups=groups or {})
    times: dict[str, dict[str, int]] = {}
    passes: dict[str, bool] = {}
    flickers: set[str] = set()
    for outcome in outcomes:
        found.ids[outcome.case_id] = None
        _count(found, outcome)
        if outcome.passed is not None and passes.setdefault(outcome.case_id, outcome.passed) != outcome.passed:
            flickers.add(outcome.case_id)
        if outcome.repeat and manifest.repeats_policy == "unstable-only":
            continue
        for metric, value in figures_of(outcome, manifest.scorers):
            seen, known = times.setdefault(metric, {}), found.values.setdefault(metric, {})
            seen[outcome.case_id] = count = seen.get(outcome.case_id, 0) + 1
            before = known.get(outcome.case_id, 0.0)
            known[outcome.case_id] = before + (value - before) / count
    found.unstable = len(flickers)
    return found


def _count(found: Figures, outcome: Outcome) -> None:
    for name, score in outcome.scores.items():
        if score.cost_nano_usd is not None:
            found.judged = True
            found.judges.add(score.cost_nano_usd)
        if score.passed is not None:
            if is_firm(name, found.manifest.scorers):
                found.firm = True
            else:
                found.weak.add(name)
    if outcome.error is not None:
        found.errors[outcome.error] = found.errors.get(outcome.error, 0) + 1
        return
    found.whole.add(outcome.cost_nano_usd)
    if outcome.cached:
        found.cached += 1
    else:
        found.paid += 1
        found.now.add(outcome.cost_nano_usd)
