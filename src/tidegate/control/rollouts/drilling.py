"""A drill: the way back of a version, walked before it is needed, each step with its time."""

import time
from collections.abc import Awaitable, Callable

from tidegate.control.identity.model import Actor
from tidegate.control.identity.store import add_audit
from tidegate.control.releases import store as releases_store
from tidegate.control.releases.model import CANARY, Order, Release
from tidegate.control.releases.service import Releases, configuration_for
from tidegate.control.rollouts import store
from tidegate.control.rollouts.model import FINAL, Drill, DrillStep
from tidegate.control.rollouts.ports import Gateways
from tidegate.jobs.database import Database
from tidegate.jobs.snapshots import newest_generation
from tidegate.kernel.errors import Conflict, Invalid
from tidegate.kernel.ids import new_id

__all__ = ["PATIENCE_S", "Drilling"]

DEPLOY = "release.deploy"
PATIENCE_S = 10.0
"""So long the gateways may take to serve a step."""

REASON = "drill of the way back"


class Drilling:
    """Walks ways back."""

    def __init__(self, db: Database, releases: Callable[[], Releases], gateways: Gateways) -> None:
        self._db = db
        self._releases = releases
        self._gateways = gateways

    async def drill(
        self, actor: Actor, prompt: str, environment: str, *, version: str | None = None, force: bool = False
    ) -> Drill:
        """Make the version live and go back; of one that is live, go back and make it live again. The environment is
        afterwards as it was.

        Raises NotFound, Conflict (a protected environment, unless by `force`; a rollout under way), Invalid (no version
        is named, and no rollout goes on), Forbidden.
        """
        actor.require(DEPLOY)
        async with self._db.read() as tx:
            config, _ = await configuration_for(tx, environment)
            last = await releases_store.last(tx, prompt, environment)
            going = [one for one in await store.newest(tx, prompt=prompt, limit=1) if one.state not in FINAL]
        place = config.environment(environment)
        protected = place is not None and place.protected
        if protected and not force:
            raise _protected(prompt, environment)
        if last is not None and last.kind == CANARY:
            raise _under_way(prompt, environment)
        wanted = version or (going[0].candidate.version if going else None)
        if wanted is None:
            raise Invalid(f"No rollout of {prompt} goes on.", mend="Name a version: --version.", param="version")
        order = Order(
            kind="deploy",
            prompt=prompt,
            environment=environment,
            version=wanted,
            reason=REASON,
            emergency=protected,
        )
        forth = ("live", lambda: self._releases().place(actor, order))
        back = ("back", lambda: self._releases().rollback(actor, prompt, environment, reason=REASON))
        is_live = last is not None and last.version == wanted
        steps = [await self._step(*one) for one in ((back, forth) if is_live else (forth, back))]
        return await self._keep(actor, prompt, environment, wanted, tuple(steps))

    async def _step(self, name: str, act: Callable[[], Awaitable[Release]]) -> DrillStep:
        begun = time.perf_counter()
        release = await act()
        committed_ms = (time.perf_counter() - begun) * 1000
        async with self._db.read() as tx:
            generation = await newest_generation(tx)
        found = await self._gateways.adopted(generation, PATIENCE_S)
        adopted_ms = (time.perf_counter() - begun) * 1000 if found.in_time and found.gateways else None
        return DrillStep(
            step=name,
            version=release.version,
            release=release.number,
            generation=generation,
            committed_ms=round(committed_ms, 1),
            adopted_ms=round(adopted_ms, 1) if adopted_ms is not None else None,
            gateways=found.gateways,
        )

    async def _keep(
        self, actor: Actor, prompt: str, environment: str, version: str, steps: tuple[DrillStep, ...]
    ) -> Drill:
        async with self._db.write() as tx:
            at_ms = await self._db.now_ms(tx)
            drill = Drill(
                drill_id=new_id("drill"),
                prompt=prompt,
                environment=environment,
                version=version,
                actor=actor.name,
                at_ms=at_ms,
                ok=all(one.adopted_ms is not None or not one.gateways for one in steps),
                steps=steps,
            )
            await store.add_drill(tx, drill)
            diff: dict[str, object] = {
                "version": version,
                "ok": drill.ok,
                "steps": {one.step: one.adopted_ms or one.committed_ms for one in steps},
            }
            subject = f"rollout/{environment}/{prompt}"
            await add_audit(tx, at_ms=at_ms, actor=actor, action="rollout.drill", subject=subject, diff=diff)
        return drill


def _protected(prompt: str, environment: str) -> Conflict:
    return Conflict(
        f"{environment} is protected: a drill there would change what users get.",
        mend=f"Drill in another one: `tidegate release drill {prompt} --env staging`; or with --force.",
        code="environment_protected",
    )


def _under_way(prompt: str, environment: str) -> Conflict:
    return Conflict(
        f"A rollout of {prompt} goes on in {environment}: a drill would end it.",
        mend="Drill in another environment, or when it is over.",
        code="rollout_live",
    )
