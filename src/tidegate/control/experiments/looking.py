"""A look at a run: its analysis, and what a tick makes of it. What is heavy is done beside the event loop."""

import asyncio
from functools import partial

import msgspec

from tidegate.control.experiments import store
from tidegate.control.experiments.chronicle import ended, reweighed
from tidegate.control.experiments.heavy import analysis_of, judged_until_ms, next_weights_of
from tidegate.control.experiments.model import Analysis, Decision, Definition, Experiment
from tidegate.control.experiments.ports import ExposureLog
from tidegate.control.identity import store as identity_store
from tidegate.control.identity.model import SYSTEM
from tidegate.control.monitoring.exposures import Exposures, Past
from tidegate.jobs.database import Database, Publish

__all__ = ["Looking"]

SETTLED_MS = 150_000
"""So long after its end, everything that was under way in a run is over and written down."""

STALE_MS = 24 * 3_600_000
AT_ONCE = 2


class Looking:
    """Reads the call log for runs."""

    def __init__(self, db: Database, publish: Publish, log: ExposureLog) -> None:
        self._db = db
        self._publish = publish
        self._log = log
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def past(self, definition: Definition, since_ms: int, before_ms: int) -> Exposures:
        """The calls of the definition's segment in a stretch without it. Raises Unavailable."""
        named = {}
        if definition.keys:
            async with self._db.read() as tx:
                named = {key.name: key.key_id for key in await identity_store.keys(tx)}
        wanted = Past(
            subject=definition.subject,
            environment=definition.environment,
            since_ms=since_ms,
            before_ms=before_ms,
            unit=definition.unit,
            tags=definition.tags,
            key_ids=tuple(named.get(name, name) for name in definition.keys),
        )
        return await self._log.history(wanted)

    async def analysis(self, experiment: Experiment, now_ms: int) -> Analysis:
        """Everything found of a run until now, or until its end; what was kept of it then. Raises Unavailable."""
        if experiment.ended_at_ms is not None:
            async with self._db.read() as tx:
                kept = await store.kept_analysis(tx, experiment.experiment_id)
            if kept is not None:
                return kept
        async with self._turns:  # each holds all its calls in memory
            exposures = await self._log.exposures(experiment.experiment_id)
            return await self._analysed(experiment, exposures, now_ms)

    async def round(self) -> None:
        """Look once at every run that is under way or has just ended; raises the first error, when all were seen."""
        async with self._db.read() as tx:
            running = [(one, await store.looks(tx, one.experiment_id)) for one in await store.running(tx)]
            now_ms = await self._db.now_ms(tx)
            over = await store.over_without_analysis(tx, now_ms - STALE_MS, now_ms - SETTLED_MS)
        first: Exception | None = None
        work = [partial(self._look, experiment, looks, now_ms) for experiment, looks in running]
        work += [partial(self._keep, experiment, now_ms) for experiment in over]
        for one in work:
            try:
                await one()
            except Exception as error:  # one that cannot be looked at must not hide the others
                first = first or error
        if first is not None:
            raise first

    async def _keep(self, experiment: Experiment, now_ms: int) -> None:
        """Keep the last analysis of a run that is over."""
        found = await self.analysis(experiment, now_ms)
        async with self._db.write() as tx:
            await store.keep_analysis(tx, found)

    async def _look(self, experiment: Experiment, looks: store.Looks, now_ms: int) -> None:
        """Judge what is due. Nothing is, before a step is over and a call has come in since: silence proves nothing."""
        definition, began = experiment.definition, experiment.started_at_ms
        guards = definition.on_breach == "stop" and any(gate.block for gate in definition.guardrails)
        edge_ms = await asyncio.to_thread(judged_until_ms, experiment, now_ms)
        judge = guards and edge_ms > max(began, looks.looked_at_ms)
        step_ms = began
        if definition.bandit is not None:
            every_ms = definition.bandit.every_s * 1000
            step_ms = began + (now_ms - began) // every_ms * every_ms
        weigh = step_ms > max(began, looks.weighed_at_ms)
        newest_ms = await self._log.newest_ms() if judge or weigh else None
        if newest_ms is None or newest_ms < (edge_ms if judge else step_ms):
            return
        exposures = await self._log.exposures(experiment.experiment_id)
        breach = await self._breach(experiment, exposures, now_ms) if judge else None
        if breach is not None:
            await self._stop(experiment, breach)
            return
        weights = await asyncio.to_thread(next_weights_of, experiment, exposures, now_ms) if weigh else None
        looked = store.Looks(edge_ms if judge else looks.looked_at_ms, step_ms if weigh else looks.weighed_at_ms)
        await self._note(experiment, looked, weights)

    async def _breach(self, experiment: Experiment, exposures: Exposures, now_ms: int) -> Decision | None:
        """The decision that a breached guardrail makes; None while none is."""
        found = await self._analysed(experiment, exposures, now_ms)
        for variant, verdict in found.guardrails.items():
            if verdict.answer == "block":
                control = experiment.definition.variants[0].name
                return Decision(answer="keep", variant=control, why=f"A guardrail of {variant}: {verdict.why}")
        return None

    async def _stop(self, seen: Experiment, decision: Decision) -> None:
        async with self._db.write() as tx:
            now = await store.get(tx, seen.experiment_id)
            if now.state != "running":
                return
            at_ms = await self._db.now_ms(tx)
            over = msgspec.structs.replace(now, state="stopped", decision=decision, ended_at_ms=at_ms)
            await ended(tx, self._publish, SYSTEM, over, {"by": "guardrail"})

    async def _note(self, seen: Experiment, looked: store.Looks, weights: tuple[int, ...] | None) -> None:
        """Write that it was looked at, and the weights where they are others now and nobody was faster."""
        async with self._db.write() as tx:
            now, looks = await store.get(tx, seen.experiment_id), await store.looks(tx, seen.experiment_id)
            if now.state != "running":
                return
            if weights is not None and weights != now.weights_bp and looked.weighed_at_ms > looks.weighed_at_ms:
                at_ms = await self._db.now_ms(tx)
                await reweighed(tx, self._publish, SYSTEM, msgspec.structs.replace(now, weights_bp=weights), at_ms)
            later = store.Looks(
                max(looked.looked_at_ms, looks.looked_at_ms), max(looked.weighed_at_ms, looks.weighed_at_ms)
            )
            await store.note(tx, seen.experiment_id, later)

    async def _analysed(self, experiment: Experiment, exposures: Exposures, now_ms: int) -> Analysis:
        definition, began = experiment.definition, experiment.started_at_ms
        history = None
        if definition.cuped is not None:
            history = await self.past(definition, began - definition.cuped.lookback_s * 1000, began)
        async with self._db.read() as tx:
            weights = await store.weights_log(tx, experiment.experiment_id)
        return await asyncio.to_thread(analysis_of, experiment, exposures, now_ms, history, weights)
