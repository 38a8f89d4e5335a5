"""The innermost stage: walks the call's plan, attempt by attempt, and brings the answer back, whole or as it comes."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.dialects.base import Dialect
from tidegate.gateway.events import Events
from tidegate.gateway.ports import Exchange, Upstreams
from tidegate.gateway.providers.base import Ask, Provider
from tidegate.gateway.routing.board import HealthBoard
from tidegate.gateway.routing.walk import Walk
from tidegate.kernel.errors import Invalid, ProviderFailed, ProviderTimeout, Unavailable
from tidegate.live.plans import Candidate

__all__ = ["Send"]

CHAT = "chat.completions"
EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE = (b"cache-control", b"no-cache")
OK = 200
PEEKED_BYTES = 64 << 10
REQUEST_IDS = (b"x-request-id", b"request-id", b"x-amzn-requestid")
SHOULD_RETRY = b"x-should-retry"


class Send:
    """Whatever happens, the exchange is released: read to its end the connection is kept, otherwise closed, which
    stops the upstream.

    A stream that another attempt may follow is handed on when its first token (or its end) was seen, or, where there is
    nowhere else to go, its first event: what fails before that is tried again, and what fails after it is `cut`.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        dialects: Mapping[str, Dialect],
        upstreams: Upstreams,
        board: HealthBoard | None = None,
    ) -> None:
        self.board = board or HealthBoard()
        self.rerouted = self.board.rerouted
        self._providers = providers
        self._dialects = dialects
        self._upstreams = upstreams

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        plan = call.plan
        assert plan is not None
        walk = Walk(self.board, call, plan)
        while (candidate := walk.next()) is not None:
            if walk.wait_s:
                await asyncio.sleep(walk.wait_s)
            walk.begin(candidate)
            try:
                if await self._attempt(walk, candidate):
                    break
            except (ProviderFailed, Invalid) as error:
                walk.failed(error)
            except BaseException:
                walk.left()
                raise
        if call.attempts > 1:
            call.reply_headers.append((b"x-tidegate-attempts", b"%d" % call.attempts))
        if walk.last is None:
            raise _nobody_free(call)
        if not isinstance(walk.last, Reply):
            raise walk.last
        if candidate is not None and walk.place:
            self.board.count(walk.step.alias, "fallback")
            walk.last.headers.append((b"x-tidegate-fallback", walk.step.alias.encode()))
        return walk.last

    async def _attempt(self, walk: Walk, candidate: Candidate) -> bool:
        """Ask one deployment; True: its answer is the call's. Raises ProviderFailed, and Invalid for what it cannot be
        asked.
        """
        call, deployment = walk.call, candidate.deployment
        target = call.world.targets[deployment.name]
        if target.fault is not None:
            raise target.fault.with_traceback(None)  # it is shared: it must not gather the frames of all its calls
        provider = self._providers[deployment.provider]
        ask, dialect = self._ask(call, provider, candidate)
        if target.prepare is not None:
            await self._ready(target.name, target.prepare, walk.until_s)
        request = provider.request(target, ask)
        call.attempts += 1
        walk.began_s = began_s = time.perf_counter()
        exchange = await self._upstreams.send(target, request, streaming=call.stream, within_s=walk.until_s - began_s)
        handed_on = False
        try:
            status, headers = exchange.status, exchange.headers
            if call.stream and status == OK:
                if not provider.streams(headers):
                    raise _no_stream(exchange)
                reader = provider.reader(ask)
                if dialect is not None:
                    reader = dialect.reader(call, reader)
                events = Events(exchange, reader)
                found = next((headers[name] for name in REQUEST_IDS if name in headers), b"")
                call.upstream_request_id = found.decode("latin-1")[:128] or None
                if walk.may_go_on:
                    first_event_does = not walk.elsewhere
                    await events.peek(lambda: first_event_does or call.first_token_s is not None, PEEKED_BYTES)
                events.when_over(lambda error: _over(walk, exchange, error))
                reply = Reply(OK, [EVENT_STREAM, NO_CACHE], events=events)
                handed_on = True
            else:
                reply = provider.read(ask, status, headers, await exchange.whole())
                if dialect is not None:
                    reply = dialect.reply(call, reply)
        finally:
            if not handed_on:
                exchange.release()
        return walk.answered(reply, headers.get(SHOULD_RETRY))

    async def _ready(self, name: str, prepare: Callable[[Upstreams], Awaitable[None]], until_s: float) -> None:
        try:
            async with asyncio.timeout(until_s - time.perf_counter()):
                await prepare(self._upstreams)
        except TimeoutError as error:
            raise ProviderTimeout(
                f"The upstream {name!r} was not ready to be asked within the call's time.",
                mend="Check its credentials' server, or raise timeouts.total_s.",
            ) from error

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


def _over(walk: Walk, exchange: Exchange, error: BaseException | None) -> None:
    exchange.release()
    walk.streamed(error if isinstance(error, ProviderFailed) else None)


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
