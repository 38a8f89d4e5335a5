"""The scoring worker, wired: what there is to score, the scorers, and judges that are asked through the gateway with a
key of the platform's own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from tidegate.adapters.http.complete import HttpComplete
from tidegate.app.internal import internal_key
from tidegate.control.evals.online.model import Job, name_of
from tidegate.control.evals.online.ports import OnlineScorer
from tidegate.control.evals.online.scoring import JUDGE
from tidegate.control.policies.model import Config
from tidegate.control.rollouts import store as rollouts
from tidegate.control.rollouts.model import Rollout
from tidegate.jobs.database import Database
from tidegate.kernel.complete import Ask, Complete, Said
from tidegate.kernel.errors import NotFound, TidegateError, Unauthenticated
from tidegate.settings import Settings

__all__ = ["Scorers", "ScoringBench", "gateway_url"]

ROUTE = "route:"
ROUTE_WITHIN_MS = 600_000
"""How long a call of a route stays worth scoring."""

AGAIN_S = 1.0
ANYWHERE = ("0.0.0.0", "::")  # noqa: S104  # where it listens, not where it is asked


class ScoringBench:
    """Fills `evals.online.ports.Bench`: the routes with `scoring`, and the rollouts that users or copies are in."""

    def __init__(self, db: Database, config: Callable[[], Config | None], scorers: "Scorers") -> None:
        self._db = db
        self._config = config
        self._scorers = scorers

    async def jobs(self) -> Sequence[Job]:
        """See `Bench`."""
        config = self._config()
        if config is None:
            return ()
        async with self._db.read() as tx:
            live = await rollouts.live(tx)
        cap = config.policy.judge_cap_nano_usd_per_day
        said = {name_of(one): one for scoring in config.scoring.values() for one in scoring.scorers}
        found = [job for one in live if (job := self._of_rollout(one, cap, said)) is not None]
        for alias, scoring in config.scoring.items():
            found.append(
                Job(
                    about=f"{ROUTE}{alias}",
                    scorers=scoring.scorers,
                    share_bp=scoring.share_bp,
                    cap_nano_usd_per_day=scoring.cap_nano_usd_per_day,
                    within_ms=ROUTE_WITHIN_MS,
                    route=alias,
                )
            )
        return found

    def scorer(self, name: str, environment: str) -> OnlineScorer:
        """See `Bench`."""
        return self._scorers.named(name, environment)

    def _of_rollout(self, rollout: Rollout, cap_nano_usd: int, said: Mapping[str, str]) -> Job | None:
        """The scorers that its gates are named after, set as the routes say; other feedback comes from users alone."""
        plan = rollout.plan
        share_bp = round(plan.score_percent * 100)
        names = dict.fromkeys(said.get(one.field, one.field) for one in plan.metrics if one.source == "feedback")
        scorers = tuple(name for name in names if self._scorers.known(name, rollout.environment))
        if not share_bp or not scorers or not (rollout.weight_bp or rollout.shadow_bp):
            return None
        return Job(
            about=rollout.rollout_id,
            scorers=scorers,
            share_bp=share_bp,
            cap_nano_usd_per_day=cap_nano_usd,
            within_ms=(plan.observe_s or plan.window_s) * 1000,
            rollout_id=rollout.rollout_id,
        )


class Scorers:
    """Scorers by name and environment, each made once; their judges ask the gateway there."""

    def __init__(self, settings: Settings, master_key: str, renew: Callable[[], Awaitable[None]]) -> None:
        """`renew` tells the gateways anew which keys are the platform's own."""
        self._settings = settings
        self._master_key = master_key
        self._renew = renew
        self._judges: dict[str, _Judges] = {}
        self._made: dict[tuple[str, str], OnlineScorer] = {}

    def named(self, name: str, environment: str) -> OnlineScorer:
        """Raises NotFound, or Invalid."""
        from tidegate.control.evals.scorers.base import Tools  # noqa: PLC0415  # lazy: costs memory
        from tidegate.control.evals.scorers.registry import scorer_named  # noqa: PLC0415  # lazy: costs memory

        key = (name, environment)
        if key not in self._made:  # no `load`: a configuration shall not run code in control
            said = msgspec.json.decode(name, type=dict[str, Any]) if name.startswith("{") else name
            self._made[key] = scorer_named(said, Tools(complete=self._judge(environment)))
        return self._made[key]

    def known(self, name: str, environment: str) -> bool:
        """Whether there is a scorer of that name; one whose settings are wrong is there."""
        try:
            self.named(name, environment)
        except NotFound:
            return False
        except TidegateError:
            return True
        return True

    async def close(self) -> None:
        """Give back connections."""
        for one in self._judges.values():
            await one.close()

    def _judge(self, environment: str) -> Complete:
        if environment not in self._judges:
            verify = self._settings.gateway_tls_cert or True
            key = internal_key(self._master_key, environment)
            inner = HttpComplete(gateway_url(self._settings), key, verify=verify)
            self._judges[environment] = _Judges(inner, self._renew)
        return self._judges[environment]


class _Judges:
    """Fills `kernel.complete.Complete`: every call is a judge's. A gateway that does not know the key yet (one has just
    been upgraded, or the master key was changed) is told of it once.
    """

    def __init__(self, inner: Complete, renew: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._renew = renew
        self._renewed = False
        self._turn = asyncio.Lock()

    async def complete(self, ask: Ask) -> Said:
        """See `Complete`."""
        ask = msgspec.structs.replace(ask, origin=JUDGE)
        try:
            return await self._inner.complete(ask)
        except Unauthenticated:
            async with self._turn:
                if not self._renewed:
                    await self._renew()
                    await asyncio.sleep(AGAIN_S)
                    self._renewed = True
        return await self._inner.complete(ask)

    async def close(self) -> None:
        """See `Complete`."""
        await self._inner.close()


def gateway_url(settings: Settings) -> str:
    """Where this host's gateway is asked."""
    if settings.gateway_host not in ANYWHERE:
        return settings.gateway_url
    return settings.gateway_url.replace(settings.gateway_host, "127.0.0.1", 1)
