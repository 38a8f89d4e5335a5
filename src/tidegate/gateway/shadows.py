"""Shadow copies: the same inputs for another model or prompt version, under caps of their own.

Whose candidate: a rollout's that has placed the call with its stable arm, where the share of copies takes it, else the
route's. A call at which the upstream failed is copied for a rollout alone: of those that went well, no candidate could
do better. Nothing of a copy is the user's: neither latency, bill and limits (its rule counts shadows alone), health of
the deployments (a board of its own), nor meters. A copy that finds all places taken is dropped and counted: there is no
queue. Caps on parallel copies hold for each gateway process, the cap on cost for all together. A copy
without a bound on its output gets the policy's, so that its cost has one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple

import msgspec

from tidegate.gateway.call import Call, Handler, Reply, Request, Stage
from tidegate.gateway.pipeline import fold
from tidegate.gateway.ports import Journal
from tidegate.gateway.stages.record import Record
from tidegate.gateway.stages.resolve import Resolve
from tidegate.kernel.errors import Forbidden, Refused, TidegateError, Unavailable
from tidegate.kernel.ids import IdSource
from tidegate.live.assignment import bucket
from tidegate.live.calls import CallRecord
from tidegate.live.plans import make_shadow_plan, tried_once
from tidegate.live.rollouts import SHADOW, Placement, shadow_origin
from tidegate.live.snapshot import LimitRule, Shadow, Snapshot

__all__ = ["OUTCOMES", "Shadows", "own_rules"]

log = logging.getLogger(__name__)

OUTCOMES = ("sent", "skipped_budget", "skipped_parallel", "failed", "timeout")
OK = 200
SALT = SHADOW
JUDGE = "judge"


class _Quiet:
    """Meters that count nothing: those of users tell of users alone."""

    def __init__(self) -> None:
        self.in_flight = 0

    def count(self, record: CallRecord) -> None:
        """A shadow is seen in its record and in `tidegate_shadow_total`."""


class Shadows:
    """Fills `gateway.ports.Shadows`. `admit` and `send` are stages of its own, so that no user waits for a copy;
    `keep` is the users' own.
    """

    def __init__(self, journal: Journal, admit: Stage, keep: Stage, send: Stage, ids: IdSource) -> None:
        self.totals: dict[str, dict[str, int]] = {}
        self._ids = ids
        self._running: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        # `admit` before `record`: a copy that the budget refuses is counted, and leaves no record
        self._handler = fold((_plan, admit, Record(journal, _Quiet()), keep, send))
        self._render = fold((Resolve(), _keep))

    def copy(self, call: Call) -> Callable[[bool], None] | None:
        """See `gateway.ports.Shadows`."""
        target = None if call.placement is None else _of_rollout(call, call.placement)
        if target is None:
            route = call.world.routes.get(call.route or "")
            if route is None or route.shadow is None or call.origin != "user":
                return None
            rule = route.shadow
            if bucket(SALT, call.call_id) >= rule.share_bp or (rule.version is not None and call.prompt is None):
                return None
            target = _Target(route.alias, rule)
        call.shadowed = True
        payload = dict(call.payload)
        return lambda whole: self._start(call, payload, target) if whole or target.placement is not None else None

    async def stop(self) -> None:
        """End all copies under way; they leave their records."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, call: Call, payload: dict[str, msgspec.Raw], target: "_Target") -> None:
        if self._stopped:
            return
        label = target.label
        if self._running.get(label, 0) >= target.rule.max_parallel:
            self._count(label, "skipped_parallel")
            return
        self._running[label] = self._running.get(label, 0) + 1
        task = asyncio.create_task(self._run(_copied(call, payload, self._ids), target), name="shadow")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, label))

    def _done(self, task: asyncio.Task[None], label: str) -> None:
        self._tasks.discard(task)
        self._running[label] -= 1

    def _count(self, label: str, outcome: str) -> None:
        totals = self.totals.setdefault(label, dict.fromkeys(OUTCOMES, 0))
        totals[outcome] += 1

    async def _run(self, call: Call, target: "_Target") -> None:
        label, rule = target.label, target.rule
        overdue = asyncio.get_running_loop().call_later(rule.timeout_s, setattr, call, "overdue", True)
        try:
            async with asyncio.timeout(rule.timeout_s):
                if rule.version is not None:
                    route = call.route
                    await self._rendered(call, rule.version)
                    if target.placement is None:
                        call.route = route
                    else:
                        call.placement, call.route = target.placement, rule.deployment or call.route
                outcome = await self._answered(call)
        except TimeoutError:
            outcome = "timeout"
        except (Refused, Unavailable) as error:
            outcome = "skipped_budget"
            log.debug("no shadow of %s: %s", label, error)
        except TidegateError as error:
            outcome = "failed"
            log.debug("a shadow of %s failed: %s", label, error)
        except Exception:
            outcome = "failed"
            log.warning("a shadow of %s failed", label, exc_info=True)
        finally:
            overdue.cancel()
        self._count(label, outcome)

    async def _rendered(self, call: Call, version: str) -> None:
        """Render the other version with the same variables, as if it had been asked for by number."""
        fields = msgspec.json.decode(call.request.body, type=dict[str, msgspec.Raw])
        fields["model"] = msgspec.Raw(msgspec.json.encode(f"prompt:{call.prompt}@{version}"))
        call.request = Request(
            call.request.method, call.request.path, call.request.headers, msgspec.json.encode(fields)
        )
        await self._render(call)

    async def _answered(self, call: Call) -> str:
        reply = await self._handler(call)
        if reply.events is not None:
            async with aclosing(reply.events) as events:
                async for _ in events:
                    pass
        if reply.status == OK and call.ending == "complete":
            return "sent"
        return "timeout" if call.ending == "timeout" else "failed"


def own_rules(snapshot: Snapshot) -> Sequence[LimitRule]:
    """The caps on what the platform's own calls cost, as rules that count these alone: the copies of each route and of
    each rollout, and judges all together.
    """
    matches = [
        (f"{SHADOW}/{alias}", route.shadow, {"origin": SHADOW, "model": alias})
        for alias, route in snapshot.routes.items()
    ]
    live = (release.rollout for by_prompt in snapshot.releases.values() for release in by_prompt.values())
    for rollout in live:
        if rollout is not None:
            origin = shadow_origin(rollout.rollout_id)
            matches.append((origin, rollout.shadow, {"origin": origin}))
    caps = [(name, shadow.cap_nano_usd_per_day, match) for name, shadow, match in matches if shadow is not None]
    caps.append((f"{JUDGE}/all", snapshot.policy.judge_cap_nano_usd_per_day, {"origin": JUDGE}))
    return [LimitRule(name=name, unit="nano_usd", cap=cap, per="day", match=match) for name, cap, match in caps]


class _Target(NamedTuple):
    """Where copies go: whose they are (an alias, or `prompt:NAME` of a rollout), under which rule, and in a rollout the
    candidate's place.
    """

    label: str
    rule: Shadow
    placement: Placement | None = None


def _of_rollout(call: Call, placed: Placement) -> _Target | None:
    """The candidate of the call's rollout, where the call is to be copied for it. Its own calls are not: nothing would
    be compared.
    """
    rollout, candidate = placed.release.rollout, placed.candidate
    if rollout is None or rollout.shadow is None or placed.arm.name == candidate.name:
        return None
    shadow = rollout.shadow
    if bucket(rollout.rollout_id, call.call_id) >= shadow.share_bp:
        return None
    rule = msgspec.structs.replace(
        shadow, version=shadow.version or candidate.version, deployment=shadow.deployment or candidate.model
    )
    return _Target(f"prompt:{placed.release.prompt}", rule, placed._replace(arm=candidate))


def _copied(call: Call, payload: dict[str, msgspec.Raw], ids: IdSource) -> Call:
    """A call of its own with the user's inputs, in the user's World."""
    copy = Call(call.request, call.endpoint, call.world, ids)
    copy.origin, copy.shadow_of = SHADOW, call.call_id
    copy.grant, copy.tags, copy.unit = call.grant, call.tags, call.unit
    copy.payload, copy.stream, copy.usage_wanted = payload, call.stream, call.usage_wanted
    copy.model_requested, copy.route = call.model_requested, call.route
    copy.prompt, copy.prompt_version = call.prompt, call.prompt_version
    return copy


async def _keep(call: Call, inner: Handler) -> Reply:
    """The end of rendering: what was resolved stays on the call."""
    return Reply(OK, [])


async def _plan(call: Call, inner: Handler) -> Reply:
    """One candidate, tried once, within the regions of the key and of the route; a rollout's as its users' calls would
    be: the model's first step, however it chooses.
    """
    assert call.grant is not None
    if call.placement is None:
        plan = make_shadow_plan(call.world.snapshot, call.route or "", call.grant.regions, call.plan)
    else:
        plan = tried_once(call.world.allowed_plan(call.route or "", call.grant))
    call.plan = plan
    if not plan.steps:
        why = "; ".join(f"{one.deployment}: {one.why}" for one in plan.excluded)
        raise Forbidden(f"No deployment may take the shadow of {call.route!r} ({why}).", code="no_deployment_allowed")
    return await inner(call)
