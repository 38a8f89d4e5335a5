"""What the gateways are told of a rollout: its arms, its unit, its copies. Pure."""

from tidegate.control.releases.model import CANARY, Split
from tidegate.control.rollouts.model import Rollout
from tidegate.live.assignment import BUCKETS, Arm
from tidegate.live.rollouts import CANDIDATE, STABLE
from tidegate.live.snapshot import LiveRollout, Shadow

__all__ = ["split_of"]

NANO = 1_000_000_000


def split_of(rollout: Rollout) -> Split:
    """What is live of the prompt as the rollout stands. Under way both are there, the candidate with its share of now;
    at the end one alone, and the other only where calls go on being copied for it.
    """
    stable = Arm(rollout.stable.version, BUCKETS - rollout.weight_bp, STABLE, rollout.stable.model)
    candidate = Arm(rollout.candidate.version, rollout.weight_bp, CANDIDATE, rollout.candidate.model)
    kind, told = CANARY, True
    arms: tuple[Arm, ...] = (stable, candidate)
    if rollout.state == "promoted":
        kind, arms, told = "deploy", (Arm(candidate.version, BUCKETS, model=candidate.model),), False
    elif rollout.ended_at_ms is not None:
        kind, told = "rollback", rollout.shadow_bp > 0
        arms = (stable, candidate) if told else (Arm(stable.version, BUCKETS, model=stable.model),)
    return Split(
        kind=kind,
        prompt=rollout.prompt,
        environment=rollout.environment,
        arms=arms,
        rollout=_live(rollout) if told else None,
        salt=rollout.salt,
        reason=rollout.why,
    )


def _live(rollout: Rollout) -> LiveRollout:
    shadow = None
    if rollout.shadow_bp:
        shadow = Shadow(
            share_bp=rollout.shadow_bp,
            version=rollout.candidate.version,
            deployment=rollout.candidate.model,
            cap_nano_usd_per_day=round(rollout.plan.shadow_usd_per_day * NANO),
        )
    return LiveRollout(rollout_id=rollout.rollout_id, unit=rollout.plan.unit, shadow=shadow)
