"""tidegate.yaml from the command line's side: check it, compare it, and apply it when no control process runs."""

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tidegate.app.config import check_file
from tidegate.app.databases import migrate, open_database, schema_status
from tidegate.app.prices import PricesOnDemand
from tidegate.app.snapshots import make_publish
from tidegate.control.experiments.guard import keep_experiments
from tidegate.control.identity.model import Actor
from tidegate.control.policies import store
from tidegate.control.policies.model import changes, check_config, parse_config, priced, warnings
from tidegate.control.policies.service import Applied, Policies
from tidegate.control.releases.service import keep_ground
from tidegate.jobs.database import Database
from tidegate.kernel.documents import decode_text
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.settings import CONFIG_NAME, Settings

__all__ = ["apply_locally", "checked_file", "checked_text", "difference", "foreseen", "held_text"]


def checked_text(settings: Settings) -> str:
    """The text of the workspace's file; raises as `checked_file` does."""
    return checked_file(settings.workspace)


def checked_file(folder: Path) -> str:
    """The text of tidegate.yaml in a folder; raises NotFound, or Invalid whose message has a line for each fault.

    It needs no Settings, for a faulty `server:` block yields none.
    """
    try:
        data = (folder / CONFIG_NAME).read_bytes()
    except OSError as error:
        raise NotFound("file", CONFIG_NAME, mend="Run `tidegate init`.", code="config_not_found") from error
    text = decode_text(data, CONFIG_NAME)
    _, faults = check_file(text, CONFIG_NAME)
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in faults)
        raise Invalid(f"{CONFIG_NAME} has {count}:{lines}", mend="Nothing was changed.", code="invalid_config")
    return text


def difference(held: str | None, text: str) -> tuple[str, ...]:
    """What applying the text would change, a line each, in the file's words. Catalogue prices are left open."""
    new, _ = check_config(text, CONFIG_NAME)
    old, faults = check_config(held, CONFIG_NAME) if held is not None else (None, ())
    if new is None:
        raise Invalid(f"{CONFIG_NAME} is faulty.", mend="See `tidegate config check`.", code="invalid_config")
    lines = changes(old, new)
    if faults:
        return ("~ the file that holds was written for another version; everything is told anew", *lines)
    if not lines and held is not None and held != text:
        return ("~ comments, order or layout only",)
    return lines


def foreseen(text: str) -> tuple[str, ...]:
    """What an apply of the text would warn of, a line each, with this machine's catalogue of prices."""
    return warnings(priced(parse_config(text, CONFIG_NAME), PricesOnDemand()))


async def held_text(settings: Settings) -> str | None:
    """The text that holds, read from the workspace's database; None before the first apply."""
    if (await schema_status(settings)).current is None:
        return None
    async with _opened(settings) as database, database.read() as tx:
        newest = await store.latest(tx)
    return newest.text if newest is not None else None


async def apply_locally(settings: Settings, text: str) -> Applied:
    """Apply the text straight to the workspace's database, migrating it first; the audit names this machine's user."""
    await migrate(settings)
    actor = Actor("local", f"local:{_user()}", ("admin",))
    async with _opened(settings) as database:
        guards = (keep_ground, keep_experiments)
        policies = Policies(database, make_publish(database), PricesOnDemand(), guards=guards)
        return await policies.apply(actor, text, CONFIG_NAME)


def _user() -> str:
    """This machine's user; a container may run under a number that has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings)
    try:
        yield database
    finally:
        await database.close()
