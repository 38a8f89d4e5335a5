"""A run counted in one pass, for the lines that follow it. What needs statistics is in `summary`, which takes longer to
load than a small run takes.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from tidegate.control.evals.model import Manifest, Outcome
from tidegate.control.evals.repeats import flake

__all__ = ["ScoreTally", "Tally", "tally", "wilson_95"]

Z_95 = 1.959963984540054


@dataclass(slots=True)
class ScoreTally:
    """One scorer: the mean of `n` values, `passed` of `judged` with a threshold, and `errors`."""

    n: int = 0
    total: float = 0.0
    judged: int = 0
    passed: int = 0
    errors: int = 0

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None


@dataclass(slots=True)
class Tally:
    """A run. Cases are judged by their answers that count: all of them with repeats `always`, else the first.
    `errors` by code, with the first `messages` of each; `unstable`: cases that contradict themselves, with their flake
    score, the worst first. Costs in nano-dollars: `now` what was paid, `whole` as if nothing had been cached.
    """

    cases: int = 0
    passed: int = 0
    failed: int = 0
    errored: int = 0
    answers: int = 0
    cached: int = 0
    scores: dict[str, ScoreTally] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    unstable: list[tuple[str, float]] = field(default_factory=list)
    now_nano_usd: int = 0
    whole_nano_usd: int = 0
    cost_known: bool = True
    input_tokens: int = 0
    output_tokens: int = 0
    latency_ms: float = 0.0

    @property
    def judged(self) -> int:
        """Cases of which it is known whether they passed."""
        return self.passed + self.failed


def tally(manifest: Manifest, outcomes: Iterable[Outcome]) -> Tally:
    """Count a run; of a case with repeats `always`, half of the answers must pass."""
    found = Tally()
    votes: dict[str, list[int]] = {}
    first_only = manifest.repeats_policy == "unstable-only"
    for outcome in outcomes:
        _count(found, outcome)
        counts = not (first_only and outcome.repeat)
        if counts:
            _score(found, outcome)
        if manifest.repeats_max == 1:
            _judge(found, [outcome.passed is True, outcome.passed is False], errored=outcome.error is not None)
            continue
        case = votes.setdefault(outcome.case_id, [0, 0, 0, 0, 0])
        case[0] += outcome.passed is True and counts
        case[1] += outcome.passed is False and counts
        case[2] += outcome.error is None
        case[3] += outcome.passed is True
        case[4] += outcome.passed is False
    for name, (passes, fails, answered, every_pass, every_fail) in votes.items():
        _judge(found, [passes, fails], errored=not answered)
        flicker = flake(every_pass, every_fail)
        if flicker:
            found.unstable.append((name, flicker))
    found.unstable.sort(key=lambda one: (-one[1], one[0]))
    return found


def wilson_95(passed: int, n: int) -> tuple[float, float]:
    """The 95% interval of a share. Wilson 1927, doi:10.1080/01621459.1927.10502953; n above 0."""
    share, z = passed / n, Z_95
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _judge(found: Tally, votes: "list[int] | list[bool]", *, errored: bool) -> None:
    passes, fails = votes
    found.cases += 1
    found.errored += errored
    if passes or fails:
        found.passed += passes >= fails
        found.failed += passes < fails


def _count(found: Tally, outcome: Outcome) -> None:
    judges = sum(score.cost_nano_usd or 0 for score in outcome.scores.values())
    found.now_nano_usd += judges
    found.whole_nano_usd += judges
    if outcome.error is not None:
        found.errors[outcome.error] = found.errors.get(outcome.error, 0) + 1
        found.messages.setdefault(outcome.error, outcome.error_message)
        return
    found.answers += 1
    found.cached += outcome.cached
    cost = outcome.cost_nano_usd or 0
    found.whole_nano_usd += cost
    found.now_nano_usd += 0 if outcome.cached else cost
    found.cost_known = found.cost_known and outcome.cost_nano_usd is not None
    found.input_tokens += outcome.input_tokens or 0
    found.output_tokens += outcome.output_tokens or 0
    found.latency_ms += outcome.latency_ms or 0.0


def _score(found: Tally, outcome: Outcome) -> None:
    for name, score in outcome.scores.items():
        one = found.scores.setdefault(name, ScoreTally())
        if score.error is not None:
            one.errors += 1
        if score.value is not None:
            one.n += 1
            one.total += score.value
        if score.passed is not None:
            one.judged += 1
            one.passed += score.passed
