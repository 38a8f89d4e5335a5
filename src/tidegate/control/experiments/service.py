"""The verbs of experiments: start, see, analyse, decide, stop, and who gets what.

Each change is one transaction: row, event, audit row, errand for the notifiers, Snapshot.
"""

import asyncio

import msgspec

from tidegate.control.experiments import store
from tidegate.control.experiments.answers import check_answer, forced, not_running, still_open
from tidegate.control.experiments.chronicle import begun, ended
from tidegate.control.experiments.ground import (
    check_free,
    check_ground,
    check_no_rollout,
    check_thresholds,
    check_variant,
    retention_warnings,
)
from tidegate.control.experiments.heavy import frozen, read
from tidegate.control.experiments.looking import Looking
from tidegate.control.experiments.model import (
    Analysis,
    Answer,
    Assignment,
    Decision,
    Experiment,
    Preview,
    Shown,
    Started,
)
from tidegate.control.experiments.placing import assignment_of, new_units_per_day, shares
from tidegate.control.experiments.ports import ExposureLog
from tidegate.control.identity.model import Actor
from tidegate.control.policies import store as policies_store
from tidegate.control.policies.model import Config, Retention
from tidegate.control.prompts.service import Prompts
from tidegate.control.releases import store as releases_store
from tidegate.jobs.database import Database, Publish, Tx
from tidegate.kernel.errors import Invalid, NotFound
from tidegate.kernel.ids import new_id
from tidegate.live.snapshot import Policy

__all__ = ["Experiments"]

MANAGE = "experiment.manage"
LISTED = 200
REASON_LIMIT = 2000
HISTORY_MS = 7 * 24 * 3_600_000
MAX_UNIT = 256
PROMPT = "prompt:"


class Experiments:
    """What is being tried out, and what came of it."""

    def __init__(self, db: Database, publish: Publish, prompts: Prompts, log: ExposureLog) -> None:
        self._db = db
        self._publish = publish
        self._prompts = prompts
        self._log = log
        self._looking = Looking(db, publish, log)

    async def start(self, actor: Actor, text: str, file: str = "experiment.yaml") -> Started:
        """Read a definition, freeze what the calls before it tell, and let it run from the next Snapshot on.

        Raises InvalidDocument or Invalid (the text), NotFound (environment, prompt, version, model), Conflict (a run of
        that name is under way; another layer; no room in it), Unavailable (the call log is away), Forbidden.
        """
        actor.require(MANAGE)
        preview = await self.preview(text, file)
        definition = preview.definition
        check_thresholds(definition)
        async with self._db.write() as tx:
            config = await _configuration(tx)
            check_ground(config, definition)
            if definition.subject.startswith(PROMPT):
                subject = definition.subject.removeprefix(PROMPT)
                check_no_rollout(definition, await releases_store.last(tx, subject, definition.environment))
            for variant in definition.variants:
                registered = None
                if variant.prompt is not None and variant.version is not None:
                    registered = await self._prompts.register(tx, actor, variant.prompt, variant.version)
                check_variant(config, variant, registered.version if registered is not None else None)
            from_bp, to_bp = check_free(definition, await store.running(tx))
            experiment_id = new_id("exp")
            experiment = Experiment(
                experiment_id=experiment_id,
                definition=definition,
                state="running",
                salt=definition.salt or experiment_id,
                from_bp=from_bp,
                to_bp=to_bp,
                weights_bp=shares([variant.weight_bp for variant in definition.variants]),
                actor=actor.name,
                started_at_ms=await self._db.now_ms(tx),
            )
            await begun(tx, self._publish, actor, experiment)
        return Started(experiment=experiment, warnings=preview.warnings)

    async def preview(self, text: str, file: str = "experiment.yaml") -> Preview:
        """What would start, by the calls of the last 7 days. Raises Invalid (the text), Unavailable."""
        wanted, warnings = await asyncio.to_thread(read, text, file)
        wanted = msgspec.structs.replace(wanted, layer=wanted.layer or wanted.name)
        async with self._db.read() as tx:
            now_ms = await self._db.now_ms(tx)
            config = await policies_store.current(tx)
        history = await self._looking.past(wanted, now_ms - HISTORY_MS, now_ms)
        definition = await asyncio.to_thread(frozen, wanted, history)
        retention = config.retention if config is not None else Retention()
        return Preview(
            definition=definition,
            units_per_day=new_units_per_day(history, now_ms),
            warnings=(*warnings, *retention_warnings(definition, retention)),
        )

    async def status(self, environment: str | None = None) -> tuple[Experiment, ...]:
        """Every run, newest first."""
        async with self._db.read() as tx:
            return await store.newest(tx, environment=environment, limit=LISTED)

    async def show(self, name: str) -> Shown:
        """The newest run of this name and what happened to it. Raises NotFound."""
        async with self._db.read() as tx:
            experiment = await _found(tx, name)
            return Shown(experiment=experiment, events=await store.events(tx, experiment.experiment_id))

    async def analyze(self, name: str) -> Analysis:
        """Everything found so far, or at its end, of the newest run of this name. Raises NotFound, Unavailable."""
        async with self._db.read() as tx:
            experiment = await _found(tx, name)
            now_ms = await self._db.now_ms(tx)
        return await self._looking.analysis(experiment, now_ms)

    async def decide(
        self,
        actor: Actor,
        name: str,
        reason: str = "",
        *,
        answer: Answer | None = None,
        variant: str | None = None,
    ) -> Experiment:
        """End the run by its rule's answer now; or by `answer` (with a reason, and recorded as forced).

        Raises NotFound, Conflict (it is not running; its rule has no answer yet), Invalid, Unavailable, Forbidden.
        """
        actor.require(MANAGE)
        _check_reason(reason)
        async with self._db.read() as tx:
            running = _running(await _found(tx, name))
            now_ms = await self._db.now_ms(tx)
        check_answer(running.definition, answer, variant, reason)
        found = (await self._looking.analysis(running, now_ms)).decision
        if answer is None and found.answer == "inconclusive":
            raise still_open(running.definition, found)
        decision = found if answer is None else forced(running.definition, found, answer, variant, reason)
        detail: dict[str, object] = {"reason": reason} if reason else {}
        if answer is not None:
            detail |= {"forced": True, "rule_said": found.answer, "rule_why": found.why}
        return await self._end(actor, running, "decided", decision, detail)

    async def stop(self, actor: Actor, name: str, reason: str = "") -> Experiment:
        """End the run without an answer. Raises NotFound, Conflict (it is not running), Forbidden."""
        actor.require(MANAGE)
        _check_reason(reason)
        async with self._db.read() as tx:
            running = _running(await _found(tx, name))
        return await self._end(actor, running, "stopped", None, {"reason": reason} if reason else {})

    async def peek(self, name: str, unit: str) -> Assignment:
        """What a unit of the newest run gets, or would get, were its calls in the segment. Raises NotFound, Invalid."""
        if not 0 < len(unit) <= MAX_UNIT:
            raise Invalid(f"A unit has 1 to {MAX_UNIT} characters.", mend="Give what is assigned.", param="unit")
        async with self._db.read() as tx:
            experiment = await _found(tx, name)
            config = await policies_store.current(tx)
        return assignment_of(experiment, unit, (config.policy if config is not None else Policy()).holdout_bp)

    async def tick(self) -> None:
        """One look at every run: new weights where they are due, an end where a guardrail is breached."""
        await self._looking.round()

    async def _end(
        self, actor: Actor, seen: Experiment, state: str, decision: Decision | None, detail: dict[str, object]
    ) -> Experiment:
        async with self._db.write() as tx:
            now = await _found(tx, seen.definition.name)
            if now.experiment_id != seen.experiment_id or now.state != "running":
                raise not_running(now)
            at_ms = await self._db.now_ms(tx)
            over = msgspec.structs.replace(now, state=state, decision=decision, ended_at_ms=at_ms)
            await ended(tx, self._publish, actor, over, detail)
        return over


async def _found(tx: Tx, name: str) -> Experiment:
    """The newest run of this name; raises NotFound."""
    found = await store.find(tx, name)
    if found is None:
        known = tuple(dict.fromkeys(one.definition.name for one in await store.newest(tx, limit=LISTED)))
        raise NotFound("experiment", name, known=known, mend="See `tidegate experiment status`.")
    return found


def _running(experiment: Experiment) -> Experiment:
    if experiment.state != "running":
        raise not_running(experiment)
    return experiment


async def _configuration(tx: Tx) -> Config:
    config = await policies_store.current(tx)
    if config is None:
        raise NotFound("configuration", "tidegate.yaml", mend="Apply one: `tidegate apply`.", code="config_not_found")
    return config


def _check_reason(reason: str) -> None:
    if len(reason) > REASON_LIMIT:
        raise Invalid(f"A reason has at most {REASON_LIMIT} characters.", mend="Shorten it.", param="reason")
