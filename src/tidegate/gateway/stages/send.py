"""The innermost stage: sends the call to its deployment and brings the answer back, whole or as it comes."""

from collections.abc import AsyncGenerator, Mapping

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.dialects.base import Dialect
from tidegate.gateway.ports import Exchange, Upstreams
from tidegate.gateway.providers.base import Ask, Provider
from tidegate.kernel.errors import Invalid, ProviderFailed
from tidegate.live.plans import Candidate

__all__ = ["Send"]

EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE = (b"cache-control", b"no-cache")
CHAT = "chat.completions"
OK = 200


class Send:
    """Whatever happens, the exchange is released: read to its end the connection is kept, otherwise closed, which
    stops the upstream.
    """

    def __init__(
        self, providers: Mapping[str, Provider], dialects: Mapping[str, Dialect], upstreams: Upstreams
    ) -> None:
        self._providers = providers
        self._dialects = dialects
        self._upstreams = upstreams

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        assert call.plan is not None
        candidate = call.plan.steps[0].candidates[0]
        return await self._attempt(call, candidate)

    async def _attempt(self, call: Call, candidate: Candidate) -> Reply:
        call.deployment, call.upstream_model = candidate.deployment, candidate.upstream_model
        target = call.world.targets[candidate.deployment.name]
        if target.fault is not None:
            raise target.fault.with_traceback(None)  # it is shared: it must not gather the frames of all its calls
        provider = self._providers[candidate.deployment.provider]
        ask, dialect = self._ask(call, provider, candidate)
        exchange = await self._upstreams.send(target, provider.request(target, ask), streaming=call.stream)
        streamed = call.stream and exchange.status == OK and provider.streams(exchange.headers)
        try:
            if streamed:
                events: AsyncGenerator[bytes, None] = _events(ask, provider, exchange)
                if dialect is not None:
                    events = dialect.events(call, events)
                return Reply(OK, [EVENT_STREAM, NO_CACHE], events=events)
            if call.stream and exchange.status == OK:
                raise _no_stream(exchange)
            reply = provider.read(ask, exchange.status, exchange.headers, await exchange.whole())
            return reply if dialect is None else dialect.reply(call, reply)
        finally:
            if not streamed:
                exchange.release()

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


async def _events(ask: Ask, provider: Provider, exchange: Exchange) -> AsyncGenerator[bytes, None]:
    ask.call.upstream_request_id = exchange.headers.get(b"x-request-id", b"").decode("latin-1") or None
    try:
        async for block in provider.follow(ask, exchange.chunks()):
            yield block
    finally:
        exchange.release()
