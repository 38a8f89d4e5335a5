"""The walk: one call's way over its plan, from the first deployment that is asked to the last. It decides; whoever
walks it asks.
"""

import time
from collections.abc import Sequence

from tidegate.gateway.call import Call, Reply
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.health import Health
from tidegate.gateway.routing.retries import (
    AGAIN,
    DONE,
    ELSEWHERE,
    FIRST_ERROR,
    RETRYABLE,
    backoff_s,
    may_be_billed,
    told_by_error,
    told_by_status,
    word_of,
)
from tidegate.kernel.errors import Invalid, ProviderFailed, ProviderTimeout, TidegateError
from tidegate.live.plans import Candidate, Plan, Step

__all__ = ["Walk"]

NOT_ALLOWED = "upstream_not_allowed"
WAIT_MAX_S = 10.0
"""A deployment that asks to be left alone is waited for so long, or for the step's `max_ms` when that is more."""


class Walk:
    """`next` names who is to be asked and `wait_s` after how long; `begin` notes that it is being asked, and one of
    `answered`, `failed` and `left` how that went; then `next` again, until it names nobody. `last` is how the last
    attempt went.

    The candidates of a step are asked in the order of its strategy, one that is well and was not asked before first;
    then the same again, then the next step. One that could never be asked, for its own configuration or the call's
    words, is no attempt. Where there is nowhere else to go, the best of the ill is asked rather than nobody, and one
    that said when to come back is waited for.
    """

    __slots__ = (
        "_again",
        "_asked",
        "_left",
        "began_s",
        "board",
        "call",
        "candidate",
        "health",
        "last",
        "place",
        "plan",
        "step",
        "trial",
        "until_s",
        "wait_s",
    )

    candidate: Candidate
    health: Health

    def __init__(self, board: HealthBoard, call: Call, plan: Plan) -> None:
        self.board = board
        self.call = call
        self.plan = plan
        self.until_s = call.started_s + plan.total_timeout_s
        """When the whole call must have its answer, or the beginning of its stream (time.perf_counter)."""
        self.began_s = 0.0
        """When the request of the attempt was sent (time.perf_counter); whoever sends it says so."""
        self.trial = 0
        self.last: Reply | TidegateError | None = None
        self._again = AGAIN
        self.place = -1
        self._enter()

    @property
    def may_go_on(self) -> bool:
        """Whether another attempt may follow the one that is under way."""
        return len(self._asked) < self.step.retry.attempts or self.place + 1 < len(self.plan.steps)

    @property
    def elsewhere(self) -> bool:
        """Whether that could be an attempt at another deployment."""
        return len(self._left) > 1 or self.place + 1 < len(self.plan.steps)

    def next(self) -> Candidate | None:
        """Whoever is to be asked next; None: the walk is over."""
        left = self._left
        if self.last is None and len(left) == 1 and not self._asked:  # the usual case, in short
            only = left[0].deployment
            self.health = health = self.board.of(only.name)
            if health.blocked(self.board.clock(), only.max_parallel) is None and self.step.retry.attempts:
                self._asked.append(only.name)
                return left[0]
        while self._again != DONE:
            candidate = self._of_step()
            if candidate is not None:
                self.health = self.board.of(candidate.deployment.name)
                return candidate
            over = self.last is not None and time.perf_counter() >= self.until_s
            if over or self.place + 1 == len(self.plan.steps):
                return None
            self._enter()
        return None

    def begin(self, candidate: Candidate) -> None:
        """It is being asked now."""
        call = self.call
        if call.attempts:
            _begin_anew(call)
        self.candidate = candidate
        call.deployment, call.upstream_model = candidate.deployment, candidate.upstream_model
        self.trial = self.health.begin()

    def answered(self, reply: Reply, said: bytes | None) -> bool:
        """It answered, `said` being its `x-should-retry`. True: the answer is the call's; of a stream, `streamed` is
        to be told the end.
        """
        status = reply.status
        self.last = reply
        self.call.trace.append(f"{self.candidate.deployment.name}:{status}")
        if reply.events is not None:
            return True
        if status in RETRYABLE:
            self.board.refused(self.health, reply, self.step.breaker, self.trial)
        else:
            took_ms = (time.perf_counter() - self.began_s) * 1000
            self.health.well(self.board.clock(), took_ms, self.trial)
            if status < FIRST_ERROR:
                return True
        return self._judged(told_by_status(status, said))

    def failed(self, error: ProviderFailed | Invalid) -> None:
        """It did not answer, or could not be asked."""
        call, name = self.call, self.candidate.deployment.name
        self.last = error
        call.trace.append(f"{name}:{word_of(error)}")
        if isinstance(error, Invalid) or error.code == NOT_ALLOWED or error is call.world.targets[name].fault:
            self.health.unasked(self.trial)
            self._drop()
            self._asked.pop()
            return
        if isinstance(error, ProviderTimeout) and self._hurried():
            self.health.left(self.trial)
        else:
            self.board.broken(self.health, error, self.step.breaker, self.trial)
        call.unsure += may_be_billed(error)
        self._judged(told_by_error(error))

    def left(self) -> None:
        """The client went away, or we failed."""
        self.health.left(self.trial)

    def streamed(self, error: ProviderFailed | None) -> None:
        """The stream that was handed on is over."""
        call, board = self.call, self.board
        if error is not None:
            board.broken(self.health, error, self.step.breaker, self.trial)
        elif call.first_token_s is not None:
            self.health.well(board.clock(), (call.first_token_s - self.began_s) * 1000, self.trial)
        else:
            self.health.left(self.trial)

    def _hurried(self) -> bool:
        """Whether the call's time is over, of which attempts before had left this one little."""
        now_s, had_s = time.perf_counter(), self.until_s - self.began_s
        return now_s >= self.until_s and had_s < self.candidate.deployment.total_timeout_s / 2

    def _enter(self) -> None:
        """Go to the next step."""
        self.place += 1
        self.step: Step = self.plan.steps[self.place]
        self.board.budget(self.step.alias).first()
        self._asked: list[str] = []
        self.wait_s = 0.0
        candidates = self.step.candidates
        self._left: Sequence[Candidate] = (
            candidates if len(candidates) == 1 else self.board.ordered(self.call, self.step)
        )

    def _of_step(self) -> Candidate | None:
        asked = self._asked
        if len(asked) >= self.step.retry.attempts:
            return None
        candidate = self._best()
        if candidate is None or (asked and not self._may_try_again(candidate)):
            return None
        if self.call.hold is not None and not _fits(self.call):
            return None
        asked.append(candidate.deployment.name)
        return candidate

    def _best(self) -> Candidate | None:
        board, left, asked = self.board, self._left, self._asked
        now_s = board.clock()
        ill = []
        for one in left:
            name = one.deployment.name
            if name not in asked:
                why = board.of(name).blocked(now_s, one.deployment.max_parallel)
                if why is None:
                    return one
                self.call.trace.append(f"{name}:{why}")
                if why != "full":
                    ill.append(one)
        in_need = self.place + 1 == len(self.plan.steps)
        if not asked:
            return ill[0] if ill and in_need else None
        ready_s = {}
        for place, one in enumerate(left):
            health = board.of(one.deployment.name)
            at_s = max(now_s, health.cooling_until_s)
            if one.deployment.name in asked and health.blocked(at_s, one.deployment.max_parallel) is None:
                ready_s[place] = at_s
        soonest = min(ready_s, key=ready_s.__getitem__, default=None)
        if soonest is None or (ready_s[soonest] > now_s and not in_need):
            return None
        return left[soonest]

    def _may_try_again(self, candidate: Candidate) -> bool:
        """Whether the retry may be made, after `wait_s` if it is the same one again."""
        board, retry = self.board, self.step.retry
        name = candidate.deployment.name
        now_s = board.clock()
        self.wait_s = 0.0
        if name in self._asked:
            asked_s = max(0.0, board.of(name).cooling_until_s - now_s)
            if asked_s > max(WAIT_MAX_S, retry.max_ms / 1000):
                return False
            self.wait_s = asked_s + backoff_s(retry, len(self._asked) - 1, board.draw())
        if time.perf_counter() + self.wait_s >= self.until_s:
            return False
        if not board.budget(self.step.alias).take(now_s, retry.budget):
            self.call.trace.append("retry_budget")
            return False
        board.count(self.step.alias, "retry")
        return True

    def _judged(self, left_to_do: int) -> bool:
        self._again = left_to_do
        if left_to_do == ELSEWHERE:
            self._drop()
        return left_to_do == DONE

    def _drop(self) -> None:
        """It would say the same again."""
        self._left = [one for one in self._left if one is not self.candidate]


def _begin_anew(call: Call) -> None:
    """Forget what the attempt before left on the call."""
    call.ending = "complete"
    call.error_code = call.finish_reason = call.upstream_request_id = None
    call.usage = None
    call.first_token_s = call.last_token_s = None
    call.whole = False


def _fits(call: Call) -> bool:
    """Whether one more attempt fits under the call's budgets, where those before it may be billed too."""
    if call.hold is None or call.bound_nano_usd is None:
        return True
    while call.extended < call.unsure:
        if not call.hold.extend(call.bound_nano_usd):
            return False
        call.extended += 1
    return True
