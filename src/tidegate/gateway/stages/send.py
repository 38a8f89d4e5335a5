"""The innermost stage: sends the call to its deployment and brings the answer back, whole or as it comes."""

from collections.abc import AsyncGenerator, Mapping

from tidegate.gateway.call import Call, Handler, Reply
from tidegate.gateway.ports import Exchange, Upstreams
from tidegate.gateway.providers.base import Provider
from tidegate.kernel.errors import ProviderFailed

__all__ = ["Send"]

EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
NO_CACHE = (b"cache-control", b"no-cache")
OK = 200


class Send:
    """Whatever happens, the exchange is released: read to its end the connection is kept, otherwise closed, which
    stops the upstream.
    """

    def __init__(self, providers: Mapping[str, Provider], upstreams: Upstreams) -> None:
        self._providers = providers
        self._upstreams = upstreams

    async def __call__(self, call: Call, inner: Handler) -> Reply:
        deployment = call.deployment
        assert deployment is not None
        target = call.world.targets[deployment.name]
        if target.fault is not None:
            raise target.fault.with_traceback(None)  # it is shared: it must not gather the frames of all its calls
        provider = self._providers[deployment.provider]
        request = target.request(call.endpoint.name, provider.encode(call, deployment))
        exchange = await self._upstreams.send(target, request, streaming=call.stream)
        streamed = call.stream and exchange.status == OK and _is_events(exchange.headers)
        try:
            if streamed:
                events = _events(call, provider, exchange)
                return Reply(OK, [EVENT_STREAM, NO_CACHE], events=events)
            if call.stream and exchange.status == OK:
                raise _no_stream(exchange)
            return provider.read(call, exchange.status, exchange.headers, await exchange.whole())
        finally:
            if not streamed:
                exchange.release()


def _is_events(headers: Mapping[bytes, bytes]) -> bool:
    return (
        headers.get(b"content-type", b"").lower().startswith(b"text/event-stream")
        and headers.get(b"content-encoding", b"identity").lower() == b"identity"
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


async def _events(call: Call, provider: Provider, exchange: Exchange) -> AsyncGenerator[bytes, None]:
    call.upstream_request_id = exchange.headers.get(b"x-request-id", b"").decode("latin-1") or None
    try:
        async for block in provider.follow(call, exchange.chunks()):
            yield block
    finally:
        exchange.release()
