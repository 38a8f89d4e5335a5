"""Which calls are scored next. Pure."""

from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from tidegate.control.evals.online.model import Job, Scorable
from tidegate.live.assignment import bucket

__all__ = ["chosen", "sampled"]


def sampled(job: Job, calls: Iterable[Scorable]) -> list[Scorable]:
    """The job's share of the calls: by their ids, so that neither who looks nor when decides."""
    return [one for one in calls if bucket(f"score/{job.about}", one.call_id) < job.share_bp]


def chosen(calls: Sequence[Scorable], limit: int) -> list[Scorable]:
    """At most `limit` of them, the newest of each arm in turn, so that the arms are scored alike."""
    arms: dict[str, list[Scorable]] = {}
    for one in sorted(calls, key=lambda one: (-one.started_at_ms, one.call_id)):
        arms.setdefault(one.arm, []).append(one)
    rounds = zip_longest(*(arms[name] for name in sorted(arms)))
    return [one for one in chain.from_iterable(rounds) if one is not None][:limit]
