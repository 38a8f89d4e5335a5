"""A guard for `Policies`: a rollout keeps the ground that it has still to walk over."""

from tidegate.control.policies.model import Config
from tidegate.control.rollouts import store
from tidegate.control.rollouts.ground import check_config_keeps
from tidegate.jobs.database import Tx

__all__ = ["keep_rollouts"]


async def keep_rollouts(tx: Tx, config: Config) -> None:
    """Raise Conflict when the configuration would take away what a rollout under way has still to come to."""
    check_config_keeps(config, await store.live(tx))
