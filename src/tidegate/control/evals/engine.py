"""The engine: every case of a dataset is asked, scored and written down, so many at a time.

An answer that was paid for is durable before it counts: in the cache as soon as it came, or, where nothing is kept, in
the journal together with its scores. Only calls that are under way when the process dies can be asked again.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from tidegate.control.evals.asking import Prepared, context_of
from tidegate.control.evals.journal import Journal
from tidegate.control.evals.keys import score_key
from tidegate.control.evals.model import Case, Manifest, Outcome, Sample, Score
from tidegate.control.evals.pacing import Halt, Halted, Pacer, Patient
from tidegate.control.evals.plan import RunPlan
from tidegate.control.evals.ports import AnswerCache, Kept, Progress, Tell
from tidegate.control.evals.purse import Exhausted, Purse, Slot
from tidegate.control.evals.repeats import Trial, again, trial_of
from tidegate.control.evals.scorers.base import Scorer
from tidegate.kernel.complete import Ask, Complete, Said
from tidegate.kernel.errors import ProviderTimeout, TidegateError, Unavailable

__all__ = ["run"]

log = logging.getLogger(__name__)


async def run(
    plan: RunPlan,
    complete: Complete,
    cache: AnswerCache,
    journal: Journal,
    *,
    tell: Tell | None = None,
    halt: Halt | None = None,
) -> Manifest:
    """Run to the end, the deadline, the cap on cost, or until `halt` is asked; a journal that has outcomes already goes
    on where it was left. Returns the manifest as it was written at the end.

    Faults of single cases and answers are outcomes. Raises what makes a whole run impossible: a dataset that cannot be
    read to its end, a disk that is full.
    """
    return await _Run(plan, complete, cache, journal, tell or (lambda _: None), halt or Halt()).go()


class _Run:
    def __init__(  # the ports of one run
        self, plan: RunPlan, complete: Complete, cache: AnswerCache, journal: Journal, tell: Tell, halt: Halt
    ) -> None:
        self._plan = plan
        self._cache = cache
        self._journal = journal
        self._tell = tell
        self._halt = halt
        self._progress = plan.progress or Progress(total=plan.manifest.cases)
        self._purse = Purse(plan.cap_nano_usd)
        self._complete = _patient(plan, complete, halt, self._retried)
        self._cases = iter(plan.cases())
        self._past: dict[str, list[Trial]] = {}
        self._claimed: set[str] = set()
        self._flights: dict[str, asyncio.Future[Kept | None]] = {}
        self._checks: dict[bytes, Scorer] = {}
        self._warned = False

    async def go(self) -> Manifest:
        self._remember(self._journal.past())
        self._purse.spent = self._progress.cost_nano_usd
        self._journal.begin(self._plan.manifest)
        if self._past:
            self._tell(self._progress)
        workers = [asyncio.create_task(self._work(), name="case") for _ in range(self._plan.concurrency)]
        self._halt.cut_off = lambda: _cancel(workers)
        fault: BaseException | None = None
        why = "interrupted"
        try:
            over, late = await asyncio.wait(workers, timeout=self._plan.deadline_s, return_when=asyncio.FIRST_EXCEPTION)
            faults = (one.exception() for one in over if not one.cancelled())
            fault = next((one for one in faults if one is not None), None)
            why = "failed" if fault else "deadline" if late else self._halt.why
        finally:
            _cancel(workers)
            await asyncio.gather(*workers, return_exceptions=True)
            ended = msgspec.structs.replace(
                self._plan.manifest,
                ended_at_ms=time.time_ns() // 1_000_000,
                state="partial" if why else "complete",
                why=why,
            )
            self._journal.end(ended)
        if fault is not None:
            raise fault
        return ended

    def _remember(self, outcomes: Iterable[Outcome]) -> None:
        """Take up what the journal knows: which answers there are, and what they have cost."""
        uses = [one.use for one in self._plan.scorers]
        for outcome in outcomes:
            self._past.setdefault(outcome.case_id, []).append(trial_of(outcome, uses))
            self._progress.resumed += 1
            self._count(outcome)

    async def _work(self) -> None:
        for case in self._cases:
            try:
                self._halt.check()
                await self._case(case)
            except Halted:
                return

    async def _case(self, case: Case) -> None:
        manifest = self._plan.manifest
        scorers = self._scorers(case)
        uses = [one.use for one in scorers]
        trials = self._past.pop(case.id, [])
        while again(trials, manifest.repeats_max, manifest.repeats_policy):
            self._halt.check()
            outcome = await self._outcome(case, len(trials), scorers)
            self._journal.add(outcome)
            self._count(outcome)
            self._tell(self._progress)
            trials.append(trial_of(outcome, uses))
        self._progress.done += 1
        self._progress.failed += any(one.passed is False for one in trials)
        self._tell(self._progress)

    def _scorers(self, case: Case) -> Sequence[Scorer]:
        """The scorers of the run, and the case's own checks."""
        if not case.checks or self._plan.scorer_of is None:
            return self._plan.scorers
        own = []
        for check in case.checks:
            word = msgspec.json.encode(check)
            if word not in self._checks:
                self._checks[word] = self._plan.scorer_of(check)
            own.append(self._checks[word])
        return [*self._plan.scorers, *own]

    async def _outcome(self, case: Case, repeat: int, scorers: Sequence[Scorer]) -> Outcome:
        """Ask, or find the answer, and score it."""
        try:
            prepared = self._plan.asker.prepare(case, repeat)
        except TidegateError as error:
            return _error(case, repeat, "", error)
        found = await self._found(prepared.key)
        if found is None:
            return await self._paid(case, repeat, prepared, scorers)
        kept, cached = found
        if not cached:
            self._claimed.add(prepared.key)
            self._purse.charge(kept.cost_nano_usd)
        outcome = _outcome(case, repeat, prepared.key, kept, cached=cached)
        outcome = await self._scored(outcome, prepared, case, scorers)
        self._purse.charge(_judges_cost(outcome))
        return outcome

    async def _paid(self, case: Case, repeat: int, prepared: Prepared, scorers: Sequence[Scorer]) -> Outcome:
        """Ask, while others that would ask the same wait for the answer, and score it."""
        flight: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        if self._plan.use_cache:
            self._flights[prepared.key] = flight
        kept: Kept | None = None
        slot: Slot | None = None
        try:
            slot = await self._purse.take(self._bound(prepared.ask))
            kept = await self._asked(prepared)
        except Exhausted:
            self._halt.ask("max_cost")
            raise Halted from None
        except TidegateError as error:
            return _error(case, repeat, prepared.key, error)
        finally:
            self._flights.pop(prepared.key, None)
            flight.set_result(kept)
            if slot is not None and kept is None:
                slot.give_back()
        if self._plan.cap_nano_usd is not None and kept.cost_nano_usd is None and not slot.reserved:
            self._halt.ask("cost_unknown")  # the cap could not be kept
        try:
            outcome = _outcome(case, repeat, prepared.key, kept, cached=False)
            outcome = await self._scored(outcome, prepared, case, scorers)
        except BaseException:
            slot.settle(kept.cost_nano_usd)  # paid for, and in the cache
            raise
        slot.settle(kept.cost_nano_usd, _judges_cost(outcome))
        return outcome

    async def _found(self, key: str) -> tuple[Kept, bool] | None:
        """The answer of a key, and whether it is free of charge: one that this run paid for before it was killed is
        not.
        """
        kept: Kept | None = None
        looked = False
        while True:
            flight = self._flights.get(key)
            if flight is not None:
                kept = await asyncio.shield(flight)
                if kept is not None:
                    return kept, True
                looked = False
            elif looked or not self._cache.keeps:
                break
            else:
                kept = await self._cache.answer(key)
                looked = True
        if kept is None:
            return None
        if kept.run_id == self._plan.manifest.run_id and key not in self._claimed:
            return kept, False
        return (kept, True) if self._plan.use_cache else None

    async def _asked(self, prepared: Prepared) -> Kept:
        self._halt.check()
        self._progress.under_way += 1
        try:
            said = await self._complete.complete(prepared.ask)
        finally:
            self._progress.under_way -= 1
        kept = _kept(said, self._plan.manifest.run_id)
        if self._cache.keeps:
            try:
                await self._cache.keep_answer(prepared.key, kept)
            except Unavailable as error:
                self._warn(error)  # the journal keeps the answer still, with its scores
        return kept

    async def _scored(self, outcome: Outcome, prepared: Prepared, case: Case, scorers: Sequence[Scorer]) -> Outcome:
        if not scorers:
            return outcome
        sample = Sample(
            case=case,
            question=prepared.question,
            context=context_of(case),
            answer=outcome.text or "",
            outcome=outcome,
        )
        scores: dict[str, Score] = {}
        for scorer in scorers:
            name = scorer.use.name
            if name in scores:  # the same scorer once more, with other settings
                name = f"{name}#{1 + sum(one.partition('#')[0] == name for one in scores)}"
            scores[name] = await self._score(scorer, sample)
        return msgspec.structs.replace(outcome, scores=scores, passed=_passed(scores))

    async def _score(self, scorer: Scorer, sample: Sample) -> Score:
        """A fact is computed anew; what a model judges is kept."""
        key = ""
        if self._cache.keeps and self._plan.use_cache and not scorer.use.exact:
            key = score_key(scorer.use, sample)
            known = await self._cache.score(key)
            if known is not None:
                return msgspec.structs.replace(known, cost_nano_usd=0)
        try:
            score = await scorer.score(sample)
        except TidegateError as error:
            return Score(error=error.code, why=str(error))
        except (asyncio.CancelledError, Halted):
            raise
        except Exception as error:
            return Score(error="scorer_failed", why=f"{type(error).__name__}: {error}")
        if score.value is not None and not math.isfinite(score.value):
            return Score(error="not_a_number", why=f"{scorer.use.name} gave {score.value}.")
        if key and score.error is None:
            try:
                await self._cache.keep_score(key, score)
            except Unavailable as error:
                self._warn(error)
        return score

    def _warn(self, error: Unavailable) -> None:
        """Say once that nothing can be kept; the run goes on."""
        if not self._warned:
            log.warning("%s", error)
        self._warned = True

    def _count(self, outcome: Outcome) -> None:
        progress = self._progress
        judges = _judges_cost(outcome) or 0
        progress.cost_nano_usd += judges
        if outcome.error is not None:
            progress.errors += 1
        elif outcome.cached:
            progress.cached += 1
        else:
            progress.paid += 1
            self._claimed.add(outcome.key)
            progress.cost_nano_usd += outcome.cost_nano_usd or 0
            progress.cost_known = progress.cost_known and outcome.cost_nano_usd is not None

    def _retried(self, error: TidegateError, ask: Ask) -> None:
        self._progress.retries += 1
        if isinstance(error, ProviderTimeout):
            self._purse.charge(self._bound(ask))  # it may be billed

    def _bound(self, ask: Ask) -> int | None:
        """What a call can cost at most, where a cap asks for it."""
        return None if self._plan.cap_nano_usd is None else self._plan.bound(ask)


def _cancel(tasks: Iterable["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()


def _patient(plan: RunPlan, complete: Complete, halt: Halt, retried: Callable[[TidegateError, Ask], None]) -> Complete:
    pacer = plan.pacer or Pacer(sleep=halt.sleep)
    return Patient(complete, pacer, halt, retries=plan.retries, base_s=plan.backoff_base_s, retried=retried)


def _outcome(case: Case, repeat: int, key: str, kept: Kept, *, cached: bool) -> Outcome:
    return Outcome(
        case_id=case.id,
        repeat=repeat,
        key=key,
        text=kept.text,
        finish_reason=kept.finish_reason,
        input_tokens=kept.input_tokens,
        output_tokens=kept.output_tokens,
        cost_nano_usd=kept.cost_nano_usd,
        latency_ms=kept.latency_ms,
        cached=cached,
    )


def _kept(said: Said, run_id: str) -> Kept:
    return Kept(
        text=said.text,
        run_id=run_id,
        finish_reason=said.finish_reason,
        input_tokens=said.input_tokens,
        output_tokens=said.output_tokens,
        cost_nano_usd=said.cost_nano_usd,
        latency_ms=said.latency_ms,
        upstream_model=said.upstream_model,
    )


def _error(case: Case, repeat: int, key: str, error: TidegateError) -> Outcome:
    return Outcome(case_id=case.id, repeat=repeat, key=key, error=error.code, error_message=str(error))


def _passed(scores: dict[str, Score]) -> bool | None:
    """Whether every scorer with a threshold passed; a fault of a scorer leaves it open, unless another one failed."""
    told = [one.passed for one in scores.values() if one.passed is not None]
    if not all(told):
        return False
    if not told or any(one.error is not None for one in scores.values()):
        return None
    return True


def _judges_cost(outcome: Outcome) -> int | None:
    costs = [one.cost_nano_usd for one in outcome.scores.values() if one.cost_nano_usd is not None]
    return sum(costs) if costs else None
