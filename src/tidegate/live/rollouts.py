"""Who is served what while a rollout is under way. Pure."""

from typing import NamedTuple

from tidegate.live.assignment import BUCKETS, Arm, arm_of
from tidegate.live.experiments import Seen, told_unit
from tidegate.live.snapshot import LiveRelease

__all__ = ["CANDIDATE", "SHADOW", "STABLE", "Placement", "place", "shadow_origin"]

SHADOW = "shadow"
STABLE = "stable"
CANDIDATE = "candidate"
"""The names of a rollout's two arms; the candidate is the last one, so that it grows at the stable one's cost alone."""


class Placement(NamedTuple):
    """A call's place in a rollout: its arm, whose unit it counts for, and the probability with which the unit had to
    get this arm.
    """

    release: LiveRelease
    arm: Arm
    unit: str
    propensity: float

    @property
    def candidate(self) -> Arm:
        """The arm that is tried out."""
        return self.release.arms[-1]


def place(release: LiveRelease, unit: str, seen: Seen) -> Placement:
    """The call's place in the release's rollout, which assigns by `unit` (user, request or `tag:NAME`); a call that
    does not tell its unit is its own.
    """
    whose = told_unit(unit, seen) or seen.call_id
    arm = arm_of(release.arms, release.salt, whose)
    return Placement(release, arm, whose, arm.weight_bp / BUCKETS)


def shadow_origin(rollout_id: str) -> str:
    """The `origin` by which the cap on a rollout's copies tells them from all others."""
    return f"{SHADOW}/{rollout_id}"
