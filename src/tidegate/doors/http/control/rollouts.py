"""The routes of rollouts: start, see, say why, approve, pause, resume, extend, rebalance, promote. A rollout is rolled
back where every release is: `POST /releases/ENV/PROMPT/rollback`.
"""

import msgspec
from litestar.params import FromPath, FromQuery, JSONBody

from tidegate.control.rollouts.model import Drill, Rollout, Shown, Started, Wanted, Why
from tidegate.doors.http.control.admission import TheActor, TheControl

__all__ = [
    "Approve",
    "Because",
    "Despite",
    "Drilled",
    "Extend",
    "Rebalance",
    "Start",
    "approve",
    "drill",
    "extend",
    "pause",
    "promote",
    "rebalance",
    "resume",
    "rollout",
    "rollouts",
    "start",
    "why",
]


class Start(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall take over: a `version`, or with `model` another model under a version (without one: the version that
    is live). `plan` is a plan's YAML, empty for the default one; `file` is the name that faults show.
    """

    prompt: str
    environment: str
    version: str | None = None
    model: str | None = None
    plan: str = ""
    file: str = "rollout.yaml"
    reason: str = ""


class Because(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for the audit."""

    reason: str = ""


class Despite(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why; `despite`: although harm is proven, or the split is broken."""

    reason: str = ""
    despite: bool = False


class Approve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A yes to what was read: the number of the `stage` and the `plan_hash`; without them to what stands there now."""

    note: str = ""
    stage: int | None = None
    plan_hash: str | None = None


class Extend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For how many seconds, and why."""

    for_s: int
    reason: str = ""


class Rebalance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The candidate's share: that of an earlier stage."""

    percent: float
    reason: str = ""


class Drilled(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which version to make live and take back (None: the candidate of the rollout that goes on), and whether in a
    protected environment too.
    """

    version: str | None = None
    force: bool = False


async def rollouts(
    control: TheControl, environment: FromQuery[str | None] = None, prompt: FromQuery[str | None] = None
) -> tuple[Rollout, ...]:
    """Every rollout, newest first."""
    return await control.rollouts.status(environment, prompt)


async def start(control: TheControl, actor: TheActor, data: JSONBody[Start]) -> Started:
    """Let a candidate take over step by step."""
    return await control.rollouts.start(actor, Wanted(**msgspec.structs.asdict(data)))


async def rollout(control: TheControl, env: FromPath[str], prompt: FromPath[str]) -> Shown:
    """The newest rollout of the prompt there: where it stands, what it waits for, what happened to it."""
    return await control.rollouts.show(prompt, env)


async def why(control: TheControl, env: FromPath[str], prompt: FromPath[str]) -> Why:
    """Why it stands there: the evidence, as it is now."""
    return await control.rollouts.why(prompt, env)


async def approve(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Approve]
) -> Rollout:
    """Approve the stage that waits for it. Nobody approves their own, unless the plan lets them."""
    bound = (data.stage, data.plan_hash) if data.stage is not None and data.plan_hash is not None else None
    return await control.rollouts.approve(actor, prompt, env, note=data.note, bound=bound)


async def pause(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Because]
) -> Rollout:
    """Stay in the stage with the shares of now; paused time does not count."""
    return await control.rollouts.pause(actor, prompt, env, data.reason)


async def resume(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Despite]
) -> Rollout:
    """Go on where it was paused."""
    return await control.rollouts.resume(actor, prompt, env, data.reason, despite=data.despite)


async def extend(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Extend]
) -> Rollout:
    """Let the stage last longer."""
    return await control.rollouts.extend(actor, prompt, env, data.for_s, data.reason)


async def rebalance(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Rebalance]
) -> Rollout:
    """Give the candidate the share of an earlier stage, and go on from there."""
    return await control.rollouts.rebalance(actor, prompt, env, data.percent, data.reason)


async def promote(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Despite]
) -> Rollout:
    """Give it to everybody at once, by a person's decision."""
    return await control.rollouts.promote(actor, prompt, env, data.reason, despite=data.despite)


async def drill(
    control: TheControl, actor: TheActor, env: FromPath[str], prompt: FromPath[str], data: JSONBody[Drilled]
) -> Drill:
    """Walk the way back before it is needed: deploy, roll back, and measure each step."""
    return await control.drilling.drill(actor, prompt, env, version=data.version, force=data.force)
