"""What experiments have a say in: what runs keeps the ground that it stands on, and what was shipped may go live."""

from tidegate.control.experiments import store
from tidegate.control.experiments.ground import check_config_keeps
from tidegate.control.experiments.placing import versions_of
from tidegate.control.policies.model import Config
from tidegate.control.prompts import store as prompts_store
from tidegate.jobs.database import Tx

__all__ = ["keep_experiments", "shipped"]

RECENT = 50


async def keep_experiments(tx: Tx, config: Config) -> None:
    """Raise Conflict when the configuration would take away what a running experiment needs."""
    running = await store.running(tx)
    check_config_keeps(config, running, await prompts_store.load(tx, versions_of(running)))


async def shipped(tx: Tx, prompt: str, version: str, environment: str) -> bool:
    """Whether the newest decided experiment on the prompt there was ended by shipping this version."""
    for one in await store.newest(tx, environment=environment, limit=RECENT):
        if one.definition.subject != f"prompt:{prompt}" or one.decision is None or one.state != "decided":
            continue
        won = next((each for each in one.definition.variants if each.name == one.decision.variant), None)
        return one.decision.answer == "ship" and won is not None and (won.prompt, won.version) == (prompt, version)
    return False
