"""The innermost stage: walks the call's plan, attempt by attempt, and brings the answer back, whole or as it comes."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.dialects.base import Dialect
from tidegate.gateway.ports import Exchange, Upstreams
from tidegate.gateway.providers.base import Ask, Provider
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.health import Health
from tidegate.gateway.routing.retries import (
    RETRYABLE,
    backoff_s,
    elsewhere,
    may_be_billed,
    retry_after_s,
    word_of,
)
from tidegate.kernel.errors import Invalid, ProviderFailed, TidegateError, Unavailable
from tidegate.live.plans import Candidate, Plan, Step
from tidegate.live.snapshot import Breaker

__all__ = ["Send"]

CHAT = "chat.completions"
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE = (b"cache-control", b"no-cache")
OK = 200
LIMITED = (429, 503, 529)
PEEKED_BYTES = 64 << 10
REQUEST_IDS = (b"x-request-id", b"request-id", b"x-amzn-requestid")


class Flow:
    """A stream that is handed on: what was read ahead, what comes, and whose health it tells of."""

    __slots__ = ("breaker", "events", "exchange", "first", "health")

    def __init__(self, events: AsyncIterator[bytes], exchange: Exchange, health: Health, breaker: Breaker) -> None:
        self.first: list[bytes] = []
        self.events = events
        self.exchange = exchange
        self.health = health
        self.breaker = breaker


class Send:
    """Whatever happens, the exchange is released: read to its end the connection is kept, otherwise closed, which
    stops the upstream.

    A stream that has somewhere else to go is handed on when its first token (or its end) was seen: what fails before
    that is tried elsewhere, and what fails after it is `cut`.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        dialects: Mapping[str, Dialect],
        upstreams: Upstreams,
        board: HealthBoard | None = None,
    ) -> None:
        self.board = board or HealthBoard()
        self.rerouted: dict[str, dict[str, int]] = {}
        """By alias: how many attempts were a `retry`, and how many calls a `fallback` served."""
        self._providers = providers
        self._dialects = dialects
        self._upstreams = upstreams

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        plan = call.plan
        assert plan is not None
        last: Reply | TidegateError | None = None
        until_s = call.started_s + plan.total_timeout_s
        for place, step in enumerate(plan.steps):
            last = await self._step(call, plan, place, until_s, last)
            if isinstance(last, Reply) and last.status not in RETRYABLE:
                if place:
                    self._count(step.alias, "fallback")
                    last.headers.append((b"x-tidegate-fallback", step.alias.encode()))
                break
            if time.perf_counter() >= until_s:
                break
        if last is None:
            raise _nobody_free(call)
        if isinstance(last, Reply):
            if call.attempts > 1:
                last.headers.append((b"x-tidegate-attempts", b"%d" % call.attempts))
            return last
        raise last

    async def _step(
        self, call: Call, plan: Plan, place: int, until_s: float, last: Reply | TidegateError | None
    ) -> Reply | TidegateError | None:
        """Try the step's candidates; return the answer, or how the last attempt failed (of this step, or before)."""
        step = plan.steps[place]
        board = self.board
        alone = len(plan.steps) == 1 and len(step.candidates) == 1
        board.budget(step.alias).first()
        tried: list[str] = []
        ordered = list(step.candidates) if len(step.candidates) == 1 else board.ordered(call, step)
        while len(tried) < step.retry.attempts:
            candidate = self._next(call, ordered, tried, panic=place + 1 == len(plan.steps))
            if candidate is None:
                break
            if tried and not await self._may_try_again(call, step, candidate, tried, until_s):
                break
            if not _fits(call):
                break
            tried.append(candidate.deployment.name)
            last = await self._try(call, step, candidate, peek=not alone)
            if isinstance(last, Reply):
                if last.status not in RETRYABLE:
                    return last
            elif not elsewhere(last):
                return last
            elif isinstance(last, Invalid) or not _again(last):
                ordered = [one for one in ordered if one is not candidate]  # it would say the same again
        return last

    def _next(self, call: Call, ordered: list[Candidate], tried: list[str], *, panic: bool) -> Candidate | None:
        """The best candidate that is well, one not tried before if there is one. When all are ill and there is nowhere
        else to go (`panic`), the best of the ill: an answer is likelier from it than from nobody.
        """
        now_s = self.board.clock()
        if not tried and len(ordered) == 1:  # the usual case, without a list
            only = ordered[0].deployment
            if self.board.of(only.name).blocked(now_s, only.max_parallel) is None:
                return ordered[0]
        ill = []
        for fresh in (True, False):
            for one in ordered:
                name = one.deployment.name
                if (name not in tried) is not fresh:
                    continue
                why = self.board.of(name).blocked(now_s, one.deployment.max_parallel)
                if why is None:
                    return one
                if fresh:
                    call.trace.append(f"{name}:{why}")
                    if why != "full":
                        ill.append(one)
            if fresh and ill and panic and not tried:
                return ill[0]
        return None

    async def _may_try_again(
        self, call: Call, step: Step, candidate: Candidate, tried: list[str], until_s: float
    ) -> bool:
        """Wait, if it is the same one again, and say whether the retry may be made."""
        board = self.board
        if not board.budget(step.alias).take(board.clock(), step.retry.budget):
            call.trace.append("retry_budget")
            return False
        if candidate.deployment.name in tried:
            wait_s = backoff_s(step.retry, len(tried) - 1, board.draw())
            if time.perf_counter() + wait_s >= until_s:
                return False
            await asyncio.sleep(wait_s)
        self._count(step.alias, "retry")
        return time.perf_counter() < until_s

    def _count(self, alias: str, what: str) -> None:
        counted = self.rerouted.setdefault(alias, {})
        counted[what] = counted.get(what, 0) + 1

    async def _try(self, call: Call, step: Step, candidate: Candidate, *, peek: bool) -> Reply | TidegateError:
        """One attempt, noted in the trace and in the deployment's health."""
        board, name = self.board, candidate.deployment.name
        health = board.of(name)
        if call.attempts:
            _begin_anew(call)
        call.deployment, call.upstream_model = candidate.deployment, candidate.upstream_model
        began_s = board.clock()
        health.begin()
        try:
            reply = await self._attempt(call, step, candidate, peek=peek)
        except ProviderFailed as error:
            call.trace.append(f"{name}:{word_of(error)}")
            if error.code == "shutting_down":
                health.left()
            else:
                health.failed(board.clock(), step.breaker)
            if may_be_billed(error):
                call.unsure += 1
            return error
        except Invalid as error:
            call.trace.append(f"{name}:{word_of(error)}")
            health.left()
            return error
        except BaseException:
            health.left()
            raise
        call.trace.append(f"{name}:{reply.status}")
        if reply.events is None:
            now_s = board.clock()
            if reply.status in RETRYABLE:
                health.failed(now_s, step.breaker)
                if reply.status in LIMITED:
                    self._cool(health, reply, now_s)
            else:
                health.well(now_s, (now_s - began_s) * 1000)
        return reply

    def _cool(self, health: Health, reply: Reply, now_s: float) -> None:
        asked_s = retry_after_s(dict(reply.headers), time.time())
        if asked_s is not None:
            health.cool(now_s, asked_s)

    async def _attempt(self, call: Call, step: Step, candidate: Candidate, *, peek: bool) -> Reply:
        target = call.world.targets[candidate.deployment.name]
        if target.fault is not None:
            raise target.fault.with_traceback(None)  # it is shared: it must not gather the frames of all its calls
        provider = self._providers[candidate.deployment.provider]
        ask, dialect = self._ask(call, provider, candidate)
        if target.prepare is not None:
            await target.prepare(self._upstreams)
        request = provider.request(target, ask)
        call.attempts += 1
        exchange = await self._upstreams.send(target, request, streaming=call.stream)
        streamed = call.stream and exchange.status == OK and provider.streams(exchange.headers)
        if streamed:
            events: AsyncIterator[bytes] = provider.follow(ask, exchange.chunks())
            if dialect is not None:
                events = dialect.events(call, events)
            health = self.board.of(candidate.deployment.name)
            return await self._stream(call, Flow(events, exchange, health, step.breaker), peek=peek)
        try:
            if call.stream and exchange.status == OK:
                raise _no_stream(exchange)
            reply = provider.read(ask, exchange.status, exchange.headers, await exchange.whole())
            return reply if dialect is None else dialect.reply(call, reply)
        finally:
            exchange.release()

    async def _stream(self, call: Call, flow: Flow, *, peek: bool) -> Reply:
        exchange = flow.exchange
        headers = exchange.headers
        found = next((headers[name] for name in REQUEST_IDS if name in headers), b"")
        call.upstream_request_id = found.decode("latin-1")[:128] or None
        if peek:
            try:
                await _peek(call, flow)
            except BaseException:
                exchange.release()
                raise
        return Reply(OK, [EVENT_STREAM, NO_CACHE], events=self._events(call, flow))

    async def _events(self, call: Call, flow: Flow) -> AsyncGenerator[bytes, None]:
        well, health = True, flow.health
        try:
            for block in flow.first:
                yield block
            async for block in flow.events:
                yield block
        except ProviderFailed:
            well = False
            raise
        finally:
            flow.exchange.release()
            if well and call.first_token_s is not None:
                health.well(self.board.clock(), (call.first_token_s - call.started_s) * 1000)
            elif well:
                health.left()
            else:
                health.failed(self.board.clock(), flow.breaker)

    def _ask(self, call: Call, provider: Provider, candidate: Candidate) -> tuple[Ask, Dialect | None]:
        """What is asked, in the endpoint's own words where the upstream speaks it, else in those of chat."""
        endpoint, spoken = call.endpoint.name, provider.speaks(candidate.deployment)
        deployment, model = candidate.deployment, candidate.upstream_model
        if endpoint in spoken:
            return Ask(call, endpoint, call.payload, deployment, model), None
        dialect = self._dialects.get(endpoint)
        if dialect is None or CHAT not in spoken:
            raise Invalid(
                f"The model {deployment.name!r} does not serve {call.endpoint.path}.",
                mend="Ask for another model.",
                code="unsupported_endpoint",
                param="model",
            )
        ask = Ask(call, CHAT, dialect.to_chat(call), deployment, model)
        ask.usage_wanted = True
        return ask, dialect


async def _peek(call: Call, flow: Flow) -> None:
    """Read the stream up to its first token, its end, or PEEKED_BYTES."""
    size = 0
    async for block in flow.events:
        flow.first.append(block)
        size += len(block)
        if call.first_token_s is not None or size > PEEKED_BYTES:
            return


def _begin_anew(call: Call) -> None:
    """Forget what the attempt before left on the call."""
    call.ending = "complete"
    call.error_code = call.finish_reason = call.upstream_request_id = None
    call.usage = None
    call.first_token_s = call.last_token_s = None
    call.whole = False


def _again(error: TidegateError) -> bool:
    """Whether the same deployment may answer the next time: not when its address, key or answers are wrong."""
    return error.code in ("provider_timeout", "provider_unreachable", "provider_cut", "provider_error")


def _fits(call: Call) -> bool:
    """Whether one more attempt fits under the call's budgets, where those before it may be billed too."""
    if call.hold is None or call.bound_nano_usd is None:
        return True
    while call.extended < call.unsure:
        if not call.hold.extend(call.bound_nano_usd):
            return False
        call.extended += 1
    return True


def _nobody_free(call: Call) -> Unavailable:
    return Unavailable(
        f"No deployment of {call.route!r} is free just now ({', '.join(call.trace)}).",
        mend="Try again in a moment.",
        code="upstreams_busy",
    )


def _no_stream(exchange: Exchange) -> ProviderFailed:
    """A client that reads events would take an answer in one piece for a stream that said nothing."""
    kind = exchange.headers.get(b"content-type", b"no content type").decode("latin-1")
    encoding = exchange.headers.get(b"content-encoding", b"").decode("latin-1")
    kind = f"{kind} in {encoding}" if encoding else kind
    return ProviderFailed(
        f"The upstream was asked for a stream and answered with {kind}.",
        mend="Ask without `stream`, or for a model that streams.",
        code="provider_bad_answer",
    )
