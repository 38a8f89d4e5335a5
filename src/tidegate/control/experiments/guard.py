"""A guard for `Policies`: what runs keeps the ground that it stands on."""

from tidegate.control.experiments import store
from tidegate.control.experiments.ground import check_config_keeps
from tidegate.control.experiments.placing import versions_of
from tidegate.control.policies.model import Config
from tidegate.control.prompts import store as prompts_store
from tidegate.jobs.database import Tx

__all__ = ["keep_experiments"]


async def keep_experiments(tx: Tx, config: Config) -> None:
    """Raise Conflict when the configuration would take away what a running experiment needs."""
    running = await store.running(tx)
    check_config_keeps(config, running, await prompts_store.load(tx, versions_of(running)))
