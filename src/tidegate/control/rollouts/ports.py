"""What rollouts need of others: who looks at calls, and who knows what the gateways serve."""

from typing import Protocol

import msgspec

from tidegate.control.gates.model import Verdict
from tidegate.control.monitoring.exposures import Exposures, Past
from tidegate.control.rollouts.model import Evidence, Rollout

__all__ = ["Adopted", "CallHistory", "Gateways", "Observer", "Unobserved"]


class Observer(Protocol):
    """Looks at the calls of a rollout."""

    async def observe(self, rollout: Rollout, now_ms: int) -> Evidence:
        """What the calls tell until now: all of Evidence but `offline`, `staged`, `drilled` and `approvals`. Raises
        Unavailable when the call log is away.
        """
        ...

    async def verdict(self, rollout: Rollout) -> Verdict:
        """What the gates say of all that was judged. Raises Unavailable."""
        ...


class Unobserved:
    """Sees no call: with it a rollout advances by people alone."""

    async def observe(self, rollout: Rollout, now_ms: int) -> Evidence:
        """Nothing but the time."""
        return Evidence(at_ms=now_ms, stage=rollout.stage)

    async def verdict(self, rollout: Rollout) -> Verdict:
        """Nothing is known."""
        return Verdict(answer="open", judgements=(), alpha=rollout.plan.alpha, why="No call was looked at.")


class CallHistory(Protocol):
    """The calls of before."""

    async def history(self, wanted: Past) -> Exposures:
        """The calls as they were without a rollout, and their scores. Raises Unavailable."""
        ...


class Adopted(msgspec.Struct, frozen=True):
    """Whether the gateways of this host served a generation within the time given, and how many they are."""

    in_time: bool
    gateways: int


class Gateways(Protocol):
    """Knows what the gateways of this host serve."""

    async def adopted(self, generation: int, timeout_s: float) -> Adopted:
        """Return as soon as all of them serve this generation or a newer one; at once where there are none."""
        ...
