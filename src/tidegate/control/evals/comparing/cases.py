"""What became of each case, in figures; and the texts of those that are shown, read again."""

from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import msgspec

from tidegate.control.evals.comparing.metrics import ERRORS, OWN, SCORER_PASSES, better_of
from tidegate.control.evals.comparing.results import Figures
from tidegate.control.evals.model import CaseDiff, Outcome

__all__ = ["CaseLine", "Change", "case_lines", "change_of", "diffs_of"]

Change = Literal["regressed", "improved", "same", "unknown"]
EVEN = 1e-9


class CaseLine(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `before` and `after` are the shares of its answers that passed (None: an error, or nothing decides);
    `scores` by scorer, under the baseline and the candidate; `harm`: how much worse it became, passing before scores.
    """

    case_id: str
    change: Change
    before: float | None
    after: float | None
    harm: float
    error: bool
    scores: dict[str, tuple[float | None, float | None]] = {}


def change_of(case_id: str, candidate: Figures, baseline: Figures | None) -> Change:
    """What became of a case's passing."""
    now = candidate.outcome_of.get(case_id)
    before = None if baseline is None else baseline.outcome_of.get(case_id)
    if now is None or before is None:
        return "unknown"
    return "regressed" if now < before else "improved" if now > before else "same"


def case_lines(candidate: Figures, baseline: Figures | None) -> list[CaseLine]:
    """Every case of the candidate, what became worst first, what became better last."""
    names = [one for one in candidate.values if one not in OWN and not one.endswith(SCORER_PASSES)]
    lines = [_line(case_id, names, candidate, baseline) for case_id in candidate.ids]
    return sorted(lines, key=lambda one: (-one.harm, one.case_id))


def diffs_of(
    lines: Iterable[CaseLine],
    candidate: Callable[[], Iterable[Outcome]],
    baseline: Callable[[], Iterable[Outcome]] | None,
) -> list[CaseDiff]:
    """The answers of these cases, in their order: of each version the first one, where a case was asked again."""
    wanted = list(lines)
    ids = frozenset(one.case_id for one in wanted)
    ours = _first(candidate(), ids)
    theirs = {} if baseline is None else _first(baseline(), ids)
    return [
        CaseDiff(
            case_id=one.case_id,
            change=one.change,
            baseline=theirs.get(one.case_id),
            candidate=ours.get(one.case_id),
        )
        for one in wanted
    ]


def _first(outcomes: Iterable[Outcome], ids: frozenset[str]) -> Mapping[str, Outcome]:
    found: dict[str, Outcome] = {}
    for one in outcomes:
        if one.case_id in ids and (one.case_id not in found or one.repeat < found[one.case_id].repeat):
            found[one.case_id] = one
    return found


def _line(case_id: str, names: Iterable[str], candidate: Figures, baseline: Figures | None) -> CaseLine:
    before = None if baseline is None else baseline.outcome_of.get(case_id)
    after = candidate.outcome_of.get(case_id)
    scores: dict[str, tuple[float | None, float | None]] = {}
    worse = 0.0
    for name in names:
        then = None if baseline is None else baseline.values.get(name, {}).get(case_id)
        now = candidate.values[name].get(case_id)
        if then is None and now is None:
            continue
        scores[name] = then, now
        if then is not None and now is not None:
            away = now - then if better_of(name, candidate.manifest.scorers) == "lower" else then - now
            worse += max(-1.0, min(away, 1.0)) if abs(away) > EVEN else 0.0
    errors = candidate.values.get(ERRORS, {}).get(case_id, 0.0)
    errors_then = 0.0 if baseline is None else baseline.values.get(ERRORS, {}).get(case_id, 0.0)
    passing = before - after if before is not None and after is not None else 0.0
    if baseline is None and after is not None:
        passing = 1 - after  # on its own: what fails comes first
    harm = 100 * passing + 100 * (errors - errors_then) + worse / max(len(scores), 1)
    return CaseLine(
        case_id=case_id,
        change=change_of(case_id, candidate, baseline),
        before=before,
        after=after,
        harm=harm,
        error=errors > 0,
        scores=scores,
    )
