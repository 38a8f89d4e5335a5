"""What a run is to do: everything that the engine needs beside the ports."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tidegate.control.evals.asking import Asker
from tidegate.control.evals.model import Case, Manifest
from tidegate.control.evals.pacing import Pacer
from tidegate.control.evals.ports import Progress
from tidegate.control.evals.scorers.base import Scorer
from tidegate.kernel.complete import Ask

__all__ = ["RunPlan"]


@dataclass(frozen=True, kw_only=True)
class RunPlan:
    """One run. `cases` are read anew at each call, from the first on. `scorer_of` makes a case's own check into a
    scorer. `bound` tells what an ask can cost at most, None where that is unknown. `pacer` gives turns; the cap is in
    nano-dollars; `retries` are tries again after a rate limit or a failure that may pass; `use_cache`: answers of other
    runs count. `progress`: where the engine counts.
    """

    manifest: Manifest
    cases: Callable[[], Iterable[Case]]
    asker: Asker
    scorers: Sequence[Scorer] = ()
    scorer_of: Callable[[Mapping[str, Any]], Scorer] | None = None
    bound: Callable[[Ask], int | None] = field(default=lambda _: None)
    concurrency: int = 8
    pacer: Pacer | None = None
    cap_nano_usd: int | None = None
    deadline_s: float | None = None
    retries: int = 4
    backoff_base_s: float = 0.5
    use_cache: bool = True
    progress: Progress | None = None
