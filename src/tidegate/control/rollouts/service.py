"""The verbs of rollouts: start, see, say why, approve, pause, resume, extend, rebalance, promote, roll back.

Each change is one transaction: row, event, release and pointer, audit row, errand for the notifiers, Snapshot. People's
verbs need no lease and no evidence: any replica carries them out, and a tick that is under way finds that it was
overtaken.
"""

import asyncio
from collections.abc import Callable

import msgspec

from tidegate.control.experiments import store as experiments_store
from tidegate.control.identity.model import Actor
from tidegate.control.monitoring.exposures import Past
from tidegate.control.policies.model import Config
from tidegate.control.prompts import store as prompts_store
from tidegate.control.prompts.ports import PromptRepository
from tidegate.control.prompts.service import Prompts
from tidegate.control.prompts.shape import path_of
from tidegate.control.releases import store as releases_store
from tidegate.control.releases.ground import check_way_back
from tidegate.control.releases.model import Release
from tidegate.control.releases.service import configuration_for
from tidegate.control.rollouts import commands, store
from tidegate.control.rollouts.approvals import approve
from tidegate.control.rollouts.chronicle import STAGING, Happened, begun, moved_on
from tidegate.control.rollouts.commands import By
from tidegate.control.rollouts.ground import check_free, check_plan, check_side, sides_of
from tidegate.control.rollouts.heavy import frozen, plan_of
from tidegate.control.rollouts.model import (
    Begun,
    Event,
    Evidence,
    Move,
    Plan,
    Rollout,
    Shown,
    Side,
    Started,
    Wanted,
    Why,
)
from tidegate.control.rollouts.ports import CallHistory, Observer
from tidegate.control.rollouts.rebalancing import rebalanced
from tidegate.control.rollouts.step import begin, waiting_for
from tidegate.control.rollouts.ticking import Guard, Ticking
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.kernel.errors import Conflict, Invalid, NotFound, TidegateError
from tidegate.kernel.ids import new_id

__all__ = ["DEPLOY", "Rollouts"]

DEPLOY = "release.deploy"
LISTED = 200
REASON_LIMIT = 2000
HISTORY_MS = 7 * 24 * 3_600_000

Decision = Callable[[Rollout, By], tuple[Rollout, Move]]


class Rollouts:
    """How a candidate takes over."""

    def __init__(
        self,
        db: Database,
        publish: Publish,
        prompts: Prompts,
        repository: PromptRepository,
        *,
        log: CallHistory,
        observer: Observer,
    ) -> None:
        self._db = db
        self._publish = publish
        self._prompts = prompts
        self._repository = repository
        self._log = log
        self._observer = observer
        self._ticking = Ticking(db, publish, observer)

    async def start(self, actor: Actor, wanted: Wanted) -> Started:
        """Check the ground, freeze what the calls before tell, and begin the first stage.

        Raises InvalidDocument or Invalid (the plan), NotFound (environment, prompt, version, model), Conflict (nothing
        is live; it is live already; a rollout or an experiment goes on; the way back is missing; a published version
        was edited), Unavailable (the call log or Git is away), Forbidden.
        """
        actor.require(DEPLOY)
        _checked(wanted.reason)
        async with self._db.read() as tx:
            config, _ = await configuration_for(tx, wanted.environment)
            stable, candidate = sides_of(wanted, await releases_store.last(tx, wanted.prompt, wanted.environment))
        plan, warnings = await self._planned(config, wanted)
        authors = await self._authors(actor, wanted.prompt, candidate)
        async with self._db.write() as tx:
            config, _ = await configuration_for(tx, wanted.environment)
            check_plan(config, plan, wanted.environment, STAGING)
            check_free(
                wanted,
                await store.find(tx, wanted.prompt, wanted.environment),
                await experiments_store.running(tx),
            )
            last = await releases_store.last(tx, wanted.prompt, wanted.environment)
            if sides_of(wanted, last) != (stable, candidate):
                raise _overtaken(wanted)
            await self._check_sides(tx, actor, config, wanted, last)
            rollout_id = new_id("roll")
            fixed = Begun(
                rollout_id=rollout_id,
                prompt=wanted.prompt,
                environment=wanted.environment,
                stable=stable,
                candidate=candidate,
                salt=rollout_id,
                authors=authors,
            )
            rollout = begin(fixed, plan, await self._db.now_ms(tx))
            if wanted.reason.strip():
                rollout = msgspec.structs.replace(rollout, why=f"Started: {wanted.reason.strip()}")
            await begun(tx, actor, rollout)
            await self._publish(tx)
        return Started(rollout=rollout, warnings=warnings)

    async def status(self, environment: str | None = None, prompt: str | None = None) -> tuple[Rollout, ...]:
        """Every rollout, newest first."""
        async with self._db.read() as tx:
            return await store.newest(tx, environment=environment, prompt=prompt, limit=LISTED)

    async def show(self, prompt: str, environment: str) -> Shown:
        """The newest rollout of the prompt in the environment, and what is known of it. Raises NotFound."""
        async with self._db.read() as tx:
            rollout = await self._found(tx, prompt, environment)
            events = await store.events(tx, rollout.rollout_id)
            seen = await store.look(tx, rollout.rollout_id)
            given = await store.approvals(tx, rollout)
            now_ms = await self._db.now_ms(tx)
        waits: tuple[str, ...] = ()
        if rollout.ended_at_ms is None:
            of_now = msgspec.structs.replace(seen or Evidence(at_ms=now_ms), at_ms=now_ms, approvals=given)
            waits = tuple(waiting_for(rollout, of_now))
        return Shown(rollout=rollout, events=events, evidence=seen, approvals=given, waits_for=waits, now_ms=now_ms)

    async def why(self, prompt: str, environment: str) -> Why:
        """Why it stands where it stands, with the evidence of now, or of its end. Raises NotFound, Unavailable."""
        shown = await self.show(prompt, environment)
        rollout, last = shown.rollout, shown.events[-1] if shown.events else None
        evidence = shown.evidence
        if rollout.ended_at_ms is None:
            evidence = await self._ticking.evidence(rollout)
        else:
            told = next((one.evidence for one in reversed(shown.events) if one.evidence is not None), None)
            evidence = told or evidence
        verdict = evidence.verdict if evidence is not None else None
        return Why(rollout=rollout, event=last, evidence=evidence, verdict=verdict)

    async def history(self, prompt: str, environment: str) -> tuple[Event, ...]:
        """What happened to the newest rollout, oldest first. Raises NotFound."""
        return (await self.show(prompt, environment)).events

    async def approve(
        self, actor: Actor, prompt: str, environment: str, *, note: str = "", bound: tuple[int, str] | None = None
    ) -> Rollout:
        """Say yes to the stage that waits for it; with the last one that is needed, it goes on.

        `bound`: the stage and the plan's hash that were read. Raises NotFound, Conflict (it waits for none, or for
        another one; given already), Forbidden (the right, the role, one's own).
        """
        actor.require("release.approve")
        _checked(note)
        async with self._db.write() as tx:
            seen = await self._found(tx, prompt, environment)
            after = await approve(tx, actor, seen, at_ms=await self._db.now_ms(tx), note=note, bound=bound)
            if after.version != seen.version:
                await self._publish(tx)
            return after

    async def pause(self, actor: Actor, prompt: str, environment: str, reason: str = "") -> Rollout:
        """Stay with the shares of now. Raises NotFound, Conflict, Forbidden."""
        return (await self._decide(actor, prompt, environment, reason, commands.paused))[0]

    async def resume(
        self, actor: Actor, prompt: str, environment: str, reason: str = "", *, despite: bool = False
    ) -> Rollout:
        """Go on. Raises NotFound, Conflict (not paused; over a proven harm, and not `despite` it), Forbidden."""
        return (
            await self._decide(
                actor, prompt, environment, reason, lambda seen, by: commands.resumed(seen, by, despite=despite)
            )
        )[0]

    async def extend(self, actor: Actor, prompt: str, environment: str, for_s: int, reason: str = "") -> Rollout:
        """Let the stage last longer. Raises NotFound, Conflict, Invalid, Forbidden."""
        decision: Decision = lambda seen, by: commands.extended(seen, by, for_s)  # noqa: E731
        return (await self._decide(actor, prompt, environment, reason, decision))[0]

    async def rebalance(self, actor: Actor, prompt: str, environment: str, percent: float, reason: str = "") -> Rollout:
        """Back to the share of an earlier stage. Raises NotFound, Conflict, Invalid, Forbidden."""
        decision: Decision = lambda seen, by: rebalanced(seen, by, percent)  # noqa: E731
        return (await self._decide(actor, prompt, environment, reason, decision))[0]

    async def promote(
        self, actor: Actor, prompt: str, environment: str, reason: str = "", *, despite: bool = False
    ) -> Rollout:
        """To everybody at once. Raises NotFound, Conflict, Invalid (no reason), Forbidden."""
        return (
            await self._decide(
                actor, prompt, environment, reason, lambda seen, by: commands.promoted(seen, by, despite=despite)
            )
        )[0]

    async def rollback(
        self, actor: Actor, prompt: str, environment: str, reason: str = "", *, keep_shadow: bool = False
    ) -> Release | None:
        """Back at once: the rollout that goes on, or that was promoted last within its rollback window.

        `keep_shadow`: calls are copied for the candidate for a while. None where there is no such rollout, and
        `Releases.rollback` is what is meant. Raises Forbidden.
        """
        actor.require(DEPLOY)
        _checked(reason)
        async with self._db.write() as tx:
            seen = await store.find(tx, prompt, environment)
            last = await releases_store.last(tx, prompt, environment)
            at_ms = await self._db.now_ms(tx)
            if seen is None or last is None or not _can_go_back(seen, last, at_ms):
                return None
            asked = _keeping(seen) if keep_shadow else seen
            after, move = commands.rolled_back(asked, By(actor.name, at_ms, reason))
            after = msgspec.structs.replace(after, plan=seen.plan)
            release = await moved_on(tx, actor, seen, after, Happened(move.kind, at_ms))
            await self._publish(tx)
            return release

    async def tick(self, guard: Guard) -> None:
        """One look at every rollout that goes on: the move that is due, made under the leader's epoch."""
        await self._ticking.round(guard)

    async def _decide(
        self, actor: Actor, prompt: str, environment: str, reason: str, decision: Decision
    ) -> tuple[Rollout, Release | None]:
        """A person's move."""
        actor.require(DEPLOY)
        _checked(reason)
        async with self._db.write() as tx:
            seen = await self._found(tx, prompt, environment)
            at_ms = await self._db.now_ms(tx)
            after, move = decision(seen, By(actor.name, at_ms, reason))
            release = await moved_on(tx, actor, seen, after, Happened(move.kind, at_ms))
            await self._publish(tx)
        return after, release

    async def _found(self, tx: Tx, prompt: str, environment: str) -> Rollout:
        found = await store.find(tx, prompt, environment)
        if found is None:
            raise NotFound(
                "rollout",
                f"{prompt} in {environment}",
                known=tuple(f"{one.prompt} in {one.environment}" for one in await store.newest(tx, limit=LISTED)),
                mend=f"Start one: `tidegate release start {prompt}@VERSION --env {environment}`.",
            )
        return found

    async def _planned(self, config: Config, wanted: Wanted) -> tuple[Plan, tuple[str, ...]]:
        """The plan, with the thresholds that the calls of the last days tell."""
        has_staging = config.environment(STAGING) is not None and wanted.environment != STAGING
        plan, warnings = await asyncio.to_thread(plan_of, wanted, has_staging=has_staging)
        async with self._db.read() as tx:
            now_ms = await self._db.now_ms(tx)
        past = Past(
            subject=f"prompt:{wanted.prompt}",
            environment=wanted.environment,
            since_ms=now_ms - HISTORY_MS,
            before_ms=now_ms,
            unit=plan.unit,
        )
        plan = await asyncio.to_thread(frozen, plan, await self._log.history(past))
        return plan, (*warnings, *_unknown(plan))

    async def _check_sides(self, tx: Tx, actor: Actor, config: Config, wanted: Wanted, last: Release | None) -> None:
        """Both can be served: the candidate is registered from Git, and the way back is there."""
        assert last is not None
        stable, candidate = sides_of(wanted, last)
        registered = await self._prompts.register(tx, actor, wanted.prompt, candidate.version)
        check_side(config, wanted.prompt, candidate, registered.version)
        kept = await prompts_store.find(tx, wanted.prompt, stable.version)
        check_way_back(config, last, kept[1] if kept is not None else None)

    async def _authors(self, actor: Actor, prompt: str, candidate: Side) -> tuple[str, ...]:
        """Who starts it, and who wrote the version as far as Git tells."""
        try:
            commit = await asyncio.to_thread(self._repository.introduced, path_of(prompt, candidate.version))
        except TidegateError:  # its file is gone, or Git is away: what is registered is enough to go on
            return (actor.name,)
        return tuple(dict.fromkeys((actor.name, commit.author)))


def _can_go_back(rollout: Rollout, last: Release, at_ms: int) -> bool:
    """Whether going back is the rollout's: it goes on, or what it made live is live, and not for too long."""
    if rollout.ended_at_ms is None:
        return True
    if rollout.state != "promoted" or at_ms - rollout.ended_at_ms > rollout.plan.rollback_window_s * 1000:
        return False
    live = (last.kind, last.version, last.model, last.at_ms)
    return live == ("deploy", rollout.candidate.version, rollout.candidate.model, rollout.ended_at_ms)


def _unknown(plan: Plan) -> tuple[str, ...]:
    """What the calls of before were too few to tell, a line each."""
    names = [one.name for one in plan.metrics if one.quantile is not None and one.above is None]
    return tuple(
        f"{name}: there were too few calls in the last 7 days to tell how long they take; its gate stays open, and "
        "where a stage needs it a person will have to decide. Give the metric `above` in the plan, or start later."
        for name in names
    )


def _keeping(rollout: Rollout) -> Rollout:
    return msgspec.structs.replace(rollout, plan=msgspec.structs.replace(rollout.plan, on_rollback="shadow"))


def _overtaken(wanted: Wanted) -> Conflict:
    return Conflict(
        f"Another release of {wanted.prompt} to {wanted.environment} came in between.",
        mend="See `tidegate release status`, then decide anew.",
        code="release_overtaken",
    )


def _checked(reason: str) -> None:
    if len(reason) > REASON_LIMIT:
        raise Invalid(f"A reason has at most {REASON_LIMIT} characters.", mend="Shorten it.", param="reason")
