"""The control plane, wired: its slices, the leader's duties, and what it says of its own state."""

import asyncio
import contextlib
import logging
from collections.abc import Mapping

from tidegate.adapters.git.repository import open_repository
from tidegate.adapters.metrics.control import ControlMetrics
from tidegate.app.adoption import LocalGateways
from tidegate.app.databases import (
    migrate,
    open_batches,
    open_calls,
    open_content_store,
    open_database,
    schema_status,
)
from tidegate.app.duties import duties
from tidegate.app.errands import Errands
from tidegate.app.explaining import Explaining
from tidegate.app.exposition import metrics_of
from tidegate.app.followed import FollowedPrompts
from tidegate.app.leader import Leader
from tidegate.app.notifiers import open_notifier
from tidegate.app.prices import PricesOnDemand
from tidegate.app.readiness import Readiness, readiness_of
from tidegate.app.scoring import Scorers, ScoringBench
from tidegate.app.secrets import open_vault
from tidegate.app.snapshots import make_publish
from tidegate.app.spending import SpendingOnDemand, open_spending, store_name
from tidegate.app.stores import open_feedbacks
from tidegate.app.watched import WatchedDatabase
from tidegate.control.evals.growing.drawing import Drawing
from tidegate.control.evals.online.scoring import OnlineScoring, ScoringStores
from tidegate.control.evals.service import Evaluations
from tidegate.control.experiments.guard import keep_experiments, shipped
from tidegate.control.experiments.service import Experiments
from tidegate.control.identity.model import SYSTEM, Actor
from tidegate.control.identity.service import Identity
from tidegate.control.monitoring.contents import KeptContents
from tidegate.control.monitoring.pairs import Pairs
from tidegate.control.monitoring.service import Calls
from tidegate.control.monitoring.stretches.reading import RolloutCalls
from tidegate.control.policies import store as policies_store
from tidegate.control.policies.model import Config, PromptSource
from tidegate.control.policies.secrets import Secrets
from tidegate.control.policies.service import Applied, Policies
from tidegate.control.prompts.ports import PromptRepository
from tidegate.control.prompts.service import Prompts
from tidegate.control.releases.model import Release
from tidegate.control.releases.service import Releases, keep_ground
from tidegate.control.rollouts.chronicle import overtake
from tidegate.control.rollouts.drilling import Drilling
from tidegate.control.rollouts.guard import keep_rollouts
from tidegate.control.rollouts.observing.observing import Observing
from tidegate.control.rollouts.service import Rollouts
from tidegate.control.spend.service import Spend
from tidegate.jobs.lease import Lease
from tidegate.jobs.outbox import Outbox
from tidegate.jobs.snapshots import newest_generation
from tidegate.kernel.errors import Conflict, TidegateError, Unavailable
from tidegate.kernel.ids import new_id
from tidegate.settings import CONFIG_NAME, Settings, read_keys

__all__ = ["Control"]

log = logging.getLogger(__name__)

LEASE_TTL_S = 6.0
AGAIN_S = 0.5


class Control:
    """One control process's inside. Life: `start`, any verbs, `stop`.

    It starts without its database too: then it tries again and again, and every verb raises Unavailable meanwhile.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.control_id = new_id("control")
        self.settings = settings
        self.metered = ControlMetrics()
        self.config: Config | None = None
        self.opened: TidegateError | None = Unavailable("Control is starting.", code="starting")
        self._environ = environ
        self._keys = read_keys(settings, environ)
        self._committed = asyncio.Event()
        self.db = WatchedDatabase(open_database(settings), self._committed.set)
        self._calls_db = open_calls(settings)
        self._publish = make_publish(self.db, self._keys.master_key)
        self.identity = Identity(self.db, self._publish)
        self.policies = Policies(
            self.db, self._publish, PricesOnDemand(), guards=(keep_ground, keep_experiments, keep_rollouts)
        )
        self.secrets = Secrets(self.db, self._publish, lambda: open_vault(settings, environ))
        self._batches = open_batches(settings)
        self.calls = Calls(self._calls_db, self._batches)
        self._observing = Observing(self.db, RolloutCalls(self._calls_db, self.calls))
        self._content_store = open_content_store(settings, environ)
        self.contents = KeptContents(self.db, self.calls, self._content_store)
        self.pairs = Pairs(self.calls, self._content_store)
        self._spending = SpendingOnDemand(lambda: open_spending(settings))
        self.explaining = Explaining(self.db, self.calls, settings.run_dir)
        self.spend = Spend(
            self.db,
            self._spending,
            self.calls,
            store=store_name(settings),
        )
        self.followed = FollowedPrompts(self.db, self._open_repository, PromptSource())
        self.releases = self._releases()
        self.experiments = self._experiments()
        self.evaluations = Evaluations(self.db)
        self._scorers = Scorers(settings, self._keys.master_key, self._publish_anew)
        self._feedbacks = open_feedbacks(settings)
        self.drawing = Drawing(self.db, self._calls_db, self.calls, self._content_store)
        self.scoring = OnlineScoring(
            ScoringStores(self.db, self._calls_db, self._content_store, self._feedbacks),
            ScoringBench(self.db, lambda: self.config, self._scorers),
        )
        self.rollouts = self._rollouts()
        self.drilling = Drilling(self.db, lambda: self.releases, LocalGateways(settings))
        errands = Errands(
            self.db,
            config=lambda: self.config,
            repository=lambda: self.followed.repository,
            notifier=lambda spec: open_notifier(spec, self._keys.master_key, environ),
        )
        self.outbox = Outbox(self.db.inner, errands)
        self.leader = Leader(
            Lease(self.db.inner, "leader", self.control_id, round(LEASE_TTL_S * 1000)),
            LEASE_TTL_S,
            duties(self, self._committed),
        )
        self._opening: asyncio.Task[None] | None = None

    @property
    def prompts(self) -> Prompts:
        """The verbs of prompts, over the repository that the configuration names."""
        return self.followed.prompts

    async def start(self) -> None:
        """Open the database and take up the duties; when it is away, go on trying in the background."""
        if not await self._open():
            self._opening = asyncio.create_task(self._open_at_last(), name="opening")

    async def stop(self) -> None:
        """Lay the duties down and close everything."""
        if self._opening is not None:
            self._opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._opening
        await self.leader.stop()
        await self._scorers.close()
        await self._feedbacks.close()
        await self._spending.close()
        await self.db.close()
        await self._batches.close()
        await self._content_store.close()
        await self._calls_db.close()

    async def apply(self, actor: Actor, text: str, file: str) -> Applied:
        """Apply a configuration, and follow it here at once."""
        applied = await self.policies.apply(actor, text, file)
        await self.refresh()
        return applied

    async def roll_back(
        self, actor: Actor, prompt: str, environment: str, reason: str = "", *, keep_shadow: bool = False
    ) -> Release:
        """Go back at once: the rollout that goes on (or has just been promoted) is rolled back; without one the version
        before is live again. Raises as `Releases.rollback`.
        """
        while True:
            by_rollout = await self.rollouts.rollback(actor, prompt, environment, reason, keep_shadow=keep_shadow)
            if by_rollout is not None:
                return by_rollout
            try:
                return await self.releases.rollback(actor, prompt, environment, reason=reason)
            except Conflict as error:
                if error.code != "rollout_live":  # one has begun in between: it is rolled back
                    raise

    async def refresh(self) -> None:
        """Read the configuration that holds, and turn to its prompts if they are elsewhere now."""
        async with self.db.read() as tx:
            self.config = await policies_store.current(tx)
        if self.config is not None and self.followed.follow(self.config.prompts):
            self.releases = self._releases()
            self.experiments = self._experiments()
            self.rollouts = self._rollouts()

    async def readiness(self) -> Readiness:
        """The state of every part."""
        return await readiness_of(self)

    async def metrics(self) -> bytes:
        """Prometheus' text format: this host's gateways summed up, and control's own."""
        return await metrics_of(self)

    async def _open(self) -> bool:
        """Bring everything up that is not up yet; False when something is away."""
        try:
            await self._check_schema()
            await self.identity.bootstrap(self._keys.admin_token)
            await self._first_config()
            await self.refresh()
            async with self.db.write() as tx:
                if await newest_generation(tx) == 0:
                    await self._publish(tx)
        except TidegateError as error:
            if str(error) != str(self.opened):
                log.warning("control cannot start yet: %s", error)
            self.opened = error
            return False
        self.opened = None
        self.leader.start()
        return True

    async def _publish_anew(self) -> None:
        async with self.db.write() as tx:
            await self._publish(tx)

    def _releases(self) -> Releases:
        return Releases(
            self.db,
            self._publish,
            self.followed.prompts,
            self.followed.repository,
            overtake=overtake,
            proven=shipped,
        )

    def _experiments(self) -> Experiments:
        return Experiments(self.db, self._publish, self.followed.prompts, self.calls)

    def _rollouts(self) -> Rollouts:
        return Rollouts(
            self.db,
            self._publish,
            self.followed.prompts,
            self.followed.repository,
            log=self.calls,
            observer=self._observing,
        )

    def _open_repository(self, source: PromptSource) -> PromptRepository:
        return open_repository(source, self.settings, self._environ)

    async def _open_at_last(self) -> None:
        opened = False
        while not opened:
            await asyncio.sleep(AGAIN_S)
            opened = await self._open()

    async def _check_schema(self) -> None:
        """Make the tables of an empty database; one that is behind is left to `tidegate migrate`, or `up`."""
        status = await schema_status(self.settings)
        if status.current is None:
            await migrate(self.settings)
        elif status.pending:
            raise Unavailable(
                f"The database's schema is at {status.current}; this version needs {status.head}.",
                mend="Run `tidegate migrate`.",
                code="schema_behind",
            )

    async def _first_config(self) -> None:
        """Apply the workspace's file if nothing ever was; a faulty one is told, and waits for `tidegate apply`."""
        async with self.db.read() as tx:
            if await policies_store.latest(tx) is not None:
                return
        file = self.settings.config_file
        if not file.is_file():
            return
        try:
            await self.policies.apply(SYSTEM, file.read_text(encoding="utf-8"), CONFIG_NAME)
        except Unavailable:
            raise
        except (TidegateError, UnicodeDecodeError) as error:
            log.error("nothing was applied: %s", error)
