"""The routes of releases: what is live, deploy, roll back, revert, withdraw."""

from typing import Annotated

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from tidegate.control.releases.model import Order, Release
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = ["Deploy", "Reason", "Rollback", "deploy", "line", "revert", "rollback", "status", "withdraw"]


class Deploy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deploy where. `emergency` (with a reason and the right release.emergency) replaces what is live in a
    protected environment at once; `supersede` ends a rollout that is under way.
    """

    prompt: str
    version: str
    environment: str
    reason: str = ""
    emergency: bool = False
    supersede: bool = False


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the audit and the tag."""

    reason: str = ""


class Rollback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; with `keep_shadow` calls are copied for a rollout's candidate for a while."""

    reason: str = ""
    keep_shadow: bool = False


async def status(
    control: TheControl, environment: FromQuery[str | None] = None, prompt: FromQuery[str | None] = None
) -> tuple[Release, ...]:
    """The newest release of each prompt in each environment; no arms means withdrawn."""
    return await control.releases.status(environment, prompt)


async def deploy(control: TheControl, actor: TheActor, data: JSONBody[Deploy]) -> Release:
    """Make a version live for all traffic of an environment."""
    order = Order(
        kind="deploy",
        prompt=data.prompt,
        version=data.version,
        environment=data.environment,
        reason=data.reason,
        emergency=data.emergency,
        supersede=data.supersede,
    )
    return await control.releases.place(actor, order)


async def rollback(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Rollback]
) -> Release:
    """Go back at once: a rollout under way is rolled back; else the version that was live before is live again, and the
    first version of all is withdrawn."""
    return await control.roll_back(actor, prompt, env, data.reason, keep_shadow=data.keep_shadow)


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
