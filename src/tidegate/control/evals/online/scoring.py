"""The scoring worker: one round claims calls, opens what was said in them, has it scored, and leaves the scores as
feedback. A call is scored once by a scorer: what died between is taken up again, and what has a value is not judged
again.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from tidegate.control.evals.model import Case, Outcome, Sample, Score
from tidegate.control.evals.online import store
from tidegate.control.evals.online.choosing import chosen, sampled
from tidegate.control.evals.online.exchange import Exchange, exchange_of
from tidegate.control.evals.online.model import DAY_MS, Job, Scorable, Standing, Tried, name_of
from tidegate.control.evals.online.ports import Bench, FeedbackSink, OnlineScorer
from tidegate.control.identity.model import SYSTEM
from tidegate.control.identity.store import add_audit
from tidegate.control.monitoring.ports import ContentStore
from tidegate.jobs.database import Database
from tidegate.kernel.errors import ProviderTimeout, ProviderUnreachable, Refused, TidegateError, Unavailable
from tidegate.live.feedback import Feedback

__all__ = ["JUDGE", "OnlineScoring", "ScoringStores"]

log = logging.getLogger(__name__)

JUDGE = "judge"
"""Who gave a score: what `key_id` of its feedback says."""

BATCH = 32
AT_ONCE = 4
LOOKED_AT = 400
STUCK_MS = 120_000
"""A claim that is older was left by somebody who died."""

ATTEMPTS = 3
REST_MS = 60_000
"""So long judges are left alone when a budget or a limit has refused one."""

PASSING = (ProviderTimeout, ProviderUnreachable, Unavailable, Refused)
PRUNED = 500


class ScoringStores(NamedTuple):
    """Control's database, the calls', the content, and where feedback goes."""

    db: Database
    calls: Database
    contents: ContentStore
    feedback: FeedbackSink


class _Task(NamedTuple):
    """One scorer on one call, claimed."""

    tried: Tried
    scorer: OnlineScorer


class OnlineScoring:
    """Life: many `round`, by one process at a time."""

    def __init__(self, stores: ScoringStores, bench: Bench, *, batch: int = BATCH, at_once: int = AT_ONCE) -> None:
        self.faults: dict[str, str] = {}
        """Scorers that cannot be had, and why."""
        self._stores = stores
        self._bench = bench
        self._batch = batch
        self._turns = asyncio.Semaphore(at_once)
        self._rests_until_ms = 0

    async def round(self) -> int:
        """Score some calls of every job; return how many scores there are more. Raises Unavailable."""
        count = 0
        for job in await self._bench.jobs():
            tasks = await self._claim(job)
            if not tasks:
                continue
            done = await asyncio.gather(*(self._try(task) for task in tasks))
            count += await self._hand_in([one for one in done if one is not None])
        return count

    async def standing(self, since_ms: int | None = None) -> list[Standing]:
        """How it goes, of the last day unless another time is given (Unix ms)."""
        async with self._stores.db.read() as tx:
            if since_ms is None:
                since_ms = await self._stores.db.now_ms(tx) - DAY_MS
            return await store.standing(tx, since_ms)

    async def prune(self, before_ms: int) -> None:
        """Forget what was tried on calls that are no longer kept."""
        async with self._stores.db.write() as tx:
            await store.prune(tx, before_ms, PRUNED)

    async def _claim(self, job: Job) -> list[_Task]:
        """The calls that are next, with their scorers, claimed in one transaction that also says who reads them."""
        async with self._stores.db.read() as tx:
            now_ms = await self._stores.db.now_ms(tx)
            left = job.cap_nano_usd_per_day - await store.spent(tx, job.about, now_ms - now_ms % DAY_MS)
        calls = sampled(job, await self._calls(job, now_ms - job.within_ms))
        kept = await self._stores.contents.kept([one.call_id for one in calls]) if calls else frozenset()
        calls = [one for one in calls if one.call_id in kept]
        if not calls:
            return []
        async with self._stores.db.write() as tx:
            now_ms = await self._stores.db.now_ms(tx)
            tried = await store.tried(tx, [one.call_id for one in calls])
            resting = left <= 0 or now_ms < self._rests_until_ms
            able = {place: self._able(job, place, resting=resting) for place in {one.environment for one in calls}}
            due = {
                one.call_id: [name for name in able[one.environment] if _due(tried.get((one.call_id, name)), now_ms)]
                for one in calls
            }
            tasks = [
                _Task(_claimed(job, one, name, (tried.get((one.call_id, name)), now_ms)), able[one.environment][name])
                for one in chosen([one for one in calls if due[one.call_id]], self._batch)
                for name in due[one.call_id]
            ]
            if not tasks:
                return []
            await store.keep(tx, [task.tried for task in tasks])
            read: dict[str, object] = {"calls": len({one.tried.call_id for one in tasks}), "scorers": list(job.scorers)}
            about = f"scoring/{job.about}"
            await add_audit(tx, at_ms=now_ms, actor=SYSTEM, action="content.read", subject=about, diff=read)
        return tasks

    async def _calls(self, job: Job, since_ms: int) -> list[Scorable]:
        async with self._stores.calls.read() as tx:
            if job.rollout_id is None:
                return await store.of_route(tx, job.route or "", since_ms, LOOKED_AT)
            found = await store.of_rollout(tx, job.rollout_id, since_ms, LOOKED_AT)
            candidates = [one.call_id for one in found if one.arm == "candidate"]
            users = await store.copied(tx, candidates)
        return list({one.call_id: one for one in [*found, *users]}.values())

    def _able(self, job: Job, environment: str, *, resting: bool) -> dict[str, OnlineScorer]:
        """The job's scorers that can be had now, by name; while judges rest, those that ask none."""
        found = {name: self._scorer(name, environment) for name in job.scorers}
        return {name: one for name, one in found.items() if one is not None and (one.use.exact or not resting)}

    def _scorer(self, name: str, environment: str) -> OnlineScorer | None:
        try:
            scorer = self._bench.scorer(name, environment)
        except TidegateError as error:
            if self.faults.get(name) != str(error):
                log.warning("no call is scored by %s: %s", name, error)
            self.faults[name] = str(error)
            return None
        self.faults.pop(name, None)
        return scorer

    async def _try(self, task: _Task) -> Tried | None:
        """Score one call; what came of it is kept at once. None when there is nothing to hand in."""
        if task.tried.value is not None:  # it was judged, and whoever did it died before the score was handed in
            return task.tried
        async with self._turns:
            try:
                content = await self._stores.contents.get(task.tried.call_id)
                exchange = exchange_of(content) if content is not None else None
                if exchange is None:
                    score = Score(error="content_gone" if content is None else "content_unreadable")
                else:
                    score = await task.scorer.score(_sample(task.tried.call_id, exchange))
            except TidegateError as error:
                score = await self._missed(task, error)
            except Exception as error:  # a scorer of somebody else's must not end the round
                log.warning("the scorer %s failed", task.tried.scorer, exc_info=True)
                score = Score(error=type(error).__name__)
        after = _after(task.tried, score)
        async with self._stores.db.write() as tx:
            await store.keep(tx, [after])
        return after if after.value is not None else None

    async def _missed(self, task: _Task, error: TidegateError) -> Score:
        if isinstance(error, Refused):
            async with self._stores.db.read() as tx:
                self._rests_until_ms = await self._stores.db.now_ms(tx) + REST_MS
        log.debug("the scorer %s: %s", task.tried.scorer, error)
        passes = isinstance(error, PASSING) and task.tried.attempts < ATTEMPTS
        return Score(error=f"again:{error.code}" if passes else error.code)

    async def _hand_in(self, done: Sequence[Tried]) -> int:
        """Leave the scores as feedback, and note that they are there."""
        if not done:
            return 0
        async with self._stores.db.read() as tx:
            now_ms = await self._stores.db.now_ms(tx)
        await self._stores.feedback.put([_feedback(one, now_ms) for one in done])
        async with self._stores.db.write() as tx:
            await store.keep(tx, [msgspec.structs.replace(one, state="scored") for one in done])
        return len(done)


def _due(before: Tried | None, now_ms: int) -> bool:
    """Whether a call may be claimed: never tried, failed for a while only, or left by somebody who died."""
    if before is None or before.state == "again":
        return True
    left = before.state == "claimed" and now_ms - before.at_ms > STUCK_MS
    return left and (before.attempts < ATTEMPTS or before.value is not None)


def _claimed(job: Job, one: Scorable, scorer: str, before: tuple[Tried | None, int]) -> Tried:
    known, now_ms = before
    return Tried(
        call_id=one.call_id,
        scorer=scorer,
        environment=one.environment,
        about=job.about,
        arm=one.arm,
        at_ms=now_ms,
        state="claimed",
        attempts=1 if known is None else known.attempts + 1,
        value=None if known is None else known.value,
        cost_nano_usd=None if known is None else known.cost_nano_usd,
    )


def _after(tried: Tried, score: Score) -> Tried:
    """What is kept of a try. One with a value stays claimed until its feedback is there."""
    cost = None
    if score.cost_nano_usd is not None or tried.cost_nano_usd is not None:
        cost = (score.cost_nano_usd or 0) + (tried.cost_nano_usd or 0)
    if score.value is not None and score.error is None:
        return msgspec.structs.replace(tried, value=score.value, error=None, cost_nano_usd=cost)
    error = score.error or "no_value"
    again = error.startswith("again:")
    return msgspec.structs.replace(
        tried, state="again" if again else "failed", error=error.removeprefix("again:"), cost_nano_usd=cost
    )


def _sample(call_id: str, said: Exchange) -> Sample:
    """What a scorer is given of a call: the evidence is everything that the model was given."""
    case = Case(id=call_id, variables={}, context=said.given)
    outcome = Outcome(case_id=call_id, repeat=0, key=call_id, text=said.answer)
    return Sample(case=case, question=said.question, context=said.given, answer=said.answer, outcome=outcome)


def _feedback(one: Tried, now_ms: int) -> Feedback:
    digest = hashlib.sha256(f"{JUDGE}\x1f{one.call_id}\x1f{one.scorer}".encode()).hexdigest()
    return Feedback(
        feedback_id=f"fb_{digest[:32]}",
        call_id=one.call_id,
        name=name_of(one.scorer),
        value=one.value or 0.0,
        at_ms=now_ms,
        environment=one.environment,
        key_id=JUDGE,
    )
