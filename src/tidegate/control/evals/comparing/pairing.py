"""The values that a rule looks at: the same cases under both versions, or the candidate's own."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegate.control.evals.comparing.metrics import COST, is_share, unit_of
from tidegate.control.evals.comparing.results import Figures
from tidegate.stats.checks import Floats

__all__ = ["Names", "Own", "Paired", "own_of", "paired_of"]

Names = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Own:
    """The candidate's values, one a case. `clusters` numbers the group of each (None: every case is its own)."""

    values: Floats
    clusters: Names | None
    bounded: bool
    """Whether no value can lie outside 0 to 1."""

    @property
    def units(self) -> int:
        """How many independent ones there are."""
        return len(self.values) if self.clusters is None else int(self.clusters.max()) + 1

    @property
    def yes_or_no(self) -> bool:
        """Whether all are 0 or 1, one for each unit."""
        return self.clusters is None and self.bounded and bool(np.all((self.values == 0) | (self.values == 1)))


@dataclass(frozen=True, slots=True)
class Paired:
    """The same cases under both versions, in one order."""

    baseline: Own
    candidate: Own

    @property
    def units(self) -> int:
        return self.candidate.units

    @property
    def clusters(self) -> Names | None:
        return self.candidate.clusters

    @property
    def yes_or_no(self) -> bool:
        return self.baseline.yes_or_no and self.candidate.yes_or_no


def own_of(run: Figures, metric: str) -> Own | None:
    """The candidate's values; None when there is none."""
    known = run.values.get(metric)
    if not known:
        return None
    ids = sorted(known)
    values = np.array([known[one] for one in ids], dtype=np.float64)
    return Own(values, _clusters(ids, run), _bounded(metric, values))


def paired_of(candidate: Figures, baseline: Figures, metric: str) -> Paired | None:
    """The cases that have a value under both; None when there is none."""
    ours, theirs = candidate.values.get(metric, {}), baseline.values.get(metric, {})
    ids = sorted(ours.keys() & theirs.keys())
    if not ids:
        return None
    clusters = _clusters(ids, candidate)
    before, after = (np.array([each[one] for one in ids], dtype=np.float64) for each in (theirs, ours))
    bounded = _bounded(metric, np.concatenate((before, after)))
    return Paired(Own(before, clusters, bounded), Own(after, clusters, bounded))


def _clusters(ids: list[str], run: Figures) -> Names | None:
    """A number for each case's group; a case without one is a group of its own. None when no two cases share one."""
    if not run.groups:
        return None
    names = [f"group {run.groups[one]}" if one in run.groups else f"case {one}" for one in ids]
    found = np.unique(np.array(names), return_inverse=True)[1].astype(np.int64)
    return found if int(found.max()) + 1 < len(ids) else None


def _bounded(metric: str, values: Floats) -> bool:
    if is_share(metric):
        return True
    return metric != COST and not unit_of(metric) and bool(np.all((values >= 0) & (values <= 1)))
