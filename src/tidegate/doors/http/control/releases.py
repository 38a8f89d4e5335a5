"""The routes of releases: what is live, deploy, roll back, revert, withdraw."""

from typing import Annotated

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from tidegate.control.releases.model import Release
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["Deploy", "Reason", "deploy", "line", "revert", "rollback", "status", "withdraw"]


class Deploy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deploy where."""

    prompt: str
    version: str
    environment: str
    reason: str = ""


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the audit and the tag."""

    reason: str = ""


async def status(
    control: TheControl, environment: FromQuery[str | None] = None, prompt: FromQuery[str | None] = None
) -> tuple[Release, ...]:
    """The newest release of each prompt in each environment; no arms means withdrawn."""
    return await control.releases.status(environment, prompt)


async def deploy(control: TheControl, actor: TheActor, data: JSONBody[Deploy]) -> Release:
    """Make a version live for all traffic of an environment."""
    return await control.releases.deploy(actor, data.prompt, data.version, data.environment, reason=data.reason)


async def rollback(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Reason]
) -> Release:
    """Go back to the version that was live before, at once; the first version is withdrawn."""
    return await control.releases.rollback(actor, prompt, env, reason=data.reason)


async def revert(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Reason]
) -> Release:
    """Undo the live version in Git with a revert commit, and deploy the version before it."""
    return await control.releases.revert(actor, prompt, env, reason=data.reason)


async def withdraw(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Reason]
) -> Release:
    """Take the prompt out of the environment."""
    return await control.releases.withdraw(actor, prompt, env, reason=data.reason)


async def line(
    control: TheControl,
    env: FromPath[str],
    prompt: FromPath[str],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 50,
) -> tuple[Release, ...]:
    """Every release of the prompt in the environment, newest first."""
    return await control.releases.history(prompt, env, limit)
