"""What `tidegate up` does before control serves: the schema brought up to date, tidegate.yaml made to hold."""

import logging

from tidegate.app.databases import migrate, open_database
from tidegate.app.policies_local import checked_text
from tidegate.app.prices import PricesOnDemand
from tidegate.app.snapshots import make_publish
from tidegate.control.identity.model import SYSTEM
from tidegate.control.policies import store
from tidegate.control.policies.service import Policies
from tidegate.control.releases.service import keep_ground
from tidegate.kernel.errors import TidegateError, Unavailable
from tidegate.settings import CONFIG_NAME, Settings

__all__ = ["first_start"]

log = logging.getLogger(__name__)

SHOWN = 6


async def first_start(settings: Settings) -> None:
    """Migrate the database, then apply tidegate.yaml. A file that cannot be applied is told, and the last one that
    was stays; raises its error when there is none. A database that is away is left to control, which waits for it.
    """
    try:
        await _migrate(settings)
        await _apply(settings)
    except Unavailable as error:
        if error.code == "database_newer":
            raise
        log.warning("tidegate.yaml is not applied now, the database is away: %s", error)


async def _migrate(settings: Settings) -> None:
    done = (await migrate(settings)).pending
    if done:
        log.info("the database's schema was brought up to date: %s", ", ".join(done))


async def _apply(settings: Settings) -> None:
    database = open_database(settings)
    try:
        async with database.read() as tx:
            held = await store.latest(tx)
        try:
            text = checked_text(settings)
            if held is not None and held.text == text:
                return
            policies = Policies(database, make_publish(database), PricesOnDemand(), guards=(keep_ground,))
            applied = await policies.apply(SYSTEM, text, CONFIG_NAME)
        except TidegateError as error:
            if held is None or isinstance(error, Unavailable):
                raise
            log.error("%s is not applied, the last good one stays (revision %d): %s", CONFIG_NAME, held.revision, error)
        else:
            log.info("%s applied: revision %d%s", CONFIG_NAME, applied.revision, _told(applied.changes) if held else "")
            for line in applied.warnings:
                log.warning("%s: %s", CONFIG_NAME, line)
    finally:
        await database.close()


def _told(changes: tuple[str, ...]) -> str:
    more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; " + "; ".join(changes[:SHOWN]) + more
